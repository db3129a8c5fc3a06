"""What is pulled for a client, and when it has a cursor."""

from edge.core.rules import Rules
from schemas.extras import FEATURES
from tests.support.edge_clients import Desk
from tests.support.edge_table import BOB, CHA, WELSH, heard, price, token

SMALL = Rules(features=FEATURES, piece_bytes=700)


def test_an_answer_has_a_cursor_only_when_all_of_it_was_given() -> None:
    desk = Desk(*(price(each, "1") for each in (CHA, WELSH)), rules=SMALL)
    speaker = desk.speaker("prices", "resume")
    for ids in ([CHA, WELSH], []):
        answer = speaker.asks("SUBSCRIBE", contractIds=ids)
        assert ["cursor" in each for each in answer] == [False, True]


def test_there_is_no_cursor_while_changes_wait() -> None:
    desk = Desk(*(price(each, "1") for each in (CHA, WELSH)), rules=SMALL)
    speaker = desk.speaker("prices", "resume")
    speaker.asks("SUBSCRIBE")
    desk.hub.hold(speaker.id)
    desk.put(price(CHA, "2"), price(WELSH, "2"))
    (again,) = speaker.asks("PING")
    assert again == {"type": "PONG"}
    first, second = speaker.pull(), speaker.pull()
    assert ["cursor" in each for each in (*first, *second)] == [False, True]
    assert speaker.pull() == []


def test_without_a_named_log_there_are_no_cursors() -> None:
    desk = Desk(price(CHA, "1"))
    desk.put((b"log:identity", None))
    speaker = desk.speaker("prices", "resume", "heartbeat")
    (update,) = speaker.asks("SUBSCRIBE", contractIds=[CHA])
    assert "cursor" not in update
    assert "cursor" not in speaker.hears(desk.put(price(CHA, "2")))[0]


def test_of_what_vanished_nothing_goes_out() -> None:
    desk = Desk(price(CHA, "1"), rules=SMALL)
    speaker = desk.speaker("balances")
    speaker.asks("SUBSCRIBE", userIds=[BOB])
    effects = speaker.says("SUBSCRIBE", userIds=["?"])
    assert [each["balances"] for each in heard(effects.frames)] == [[]]
    other = desk.speaker("prices")
    other.asks("SUBSCRIBE", contractIds=[CHA, WELSH])
    assert other.asks("SUBSCRIBE", contractIds=[WELSH]) == []
    desk.hub.hold(other.id)
    desk.put(token(WELSH, name="Welsh"))
    assert other.pull() == []
    assert not desk.hub.is_behind(other.id)


def test_a_client_that_left_in_the_middle_of_an_answer_is_forgotten() -> None:
    desk = Desk(*(price(each, "1") for each in (CHA, WELSH)), rules=SMALL)
    speaker = desk.speaker()
    frames = speaker.says("SUBSCRIBE").frames
    next(frames)
    desk.hub.disconnect(speaker.id)
    assert list(frames) == []
    assert desk.put(price(CHA, "2")) == []
    assert speaker.pull() == []
