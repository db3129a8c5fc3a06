"""What a client may name, and what it is told when it names more."""

from collections.abc import Sequence

import pytest

from edge.core.hub import Rules
from edge.core.session import TOO_MANY_ERRORS, TOO_MANY_MESSAGES, Refused
from schemas.extras import FEATURES
from tests.support.edge_clients import Desk, Speaker
from tests.support.edge_table import ANNE, BOB, CHA, NOW_MS, WELSH, heard, price, token

KNOWN = (token(CHA), token(WELSH), price(CHA, "1"), price(WELSH, "2"))
STX = ".stx"


def a_desk(*, per_message: int = 0, per_client: int = 0) -> Desk:
    rules = Rules(
        features=FEATURES, ids_per_message=per_message, ids_per_client=per_client
    )
    return Desk(*KNOWN, rules=rules)


def named(speaker: Speaker, ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """Subscribe; return the ids answered for, and the texts of errors."""
    answers = speaker.asks("SUBSCRIBE", contractIds=list(ids))
    errors = [each["message"] for each in answers if each["type"] == "ERROR"]
    return [each["contractId"] for each in answers if "contractId" in each], errors


def test_ids_above_those_of_one_message_are_ignored_after_one_error() -> None:
    speaker = a_desk(per_message=1).speaker()
    assert named(speaker, [CHA, WELSH, STX]) == (
        [CHA],
        ["Too many ids; those above 1 of one message are ignored"],
    )
    assert named(speaker, [WELSH]) == ([WELSH], [])


def test_ids_above_those_of_a_connection_are_ignored_after_one_error() -> None:
    speaker = a_desk(per_client=1).speaker()
    assert named(speaker, [CHA]) == ([CHA], [])
    assert named(speaker, [WELSH, STX]) == (
        [],
        ["Too many ids; those above 1 of one connection are ignored"],
    )


def test_what_is_named_again_or_is_no_id_takes_no_room() -> None:
    speaker = a_desk(per_client=1).speaker()
    for _ in range(2):
        assert named(speaker, [CHA, CHA, "nonsense"]) == ([CHA], [])


def test_who_unsubscribes_has_room_again() -> None:
    speaker = a_desk(per_message=5, per_client=1).speaker()
    named(speaker, [CHA])
    speaker.asks("UNSUBSCRIBE", contractIds=[CHA])
    assert named(speaker, [WELSH]) == ([WELSH], [])


def test_ids_over_the_limit_are_not_all_ids() -> None:
    desk = a_desk(per_client=1)
    speaker = desk.speaker()
    named(speaker, [CHA])
    named(speaker, [WELSH])
    assert speaker.hears(desk.put(price(WELSH, "3", version=2))) == []


def test_all_is_no_list_of_ids() -> None:
    speaker = a_desk(per_message=1, per_client=1).speaker()
    (batch,) = speaker.asks("SUBSCRIBE", contractIds=[])
    assert batch["type"] == "PRICE_BATCH"


def test_who_asked_for_acks_is_told_which_are_left_out() -> None:
    speaker = a_desk(per_message=3, per_client=1).speaker("prices", "ack")
    ids = [CHA, "nonsense", WELSH, STX]
    error, said, *_ = speaker.asks("SUBSCRIBE", contractIds=ids)
    both = (
        "Too many ids; those above 3 of one message or 1 of one connection are ignored"
    )
    assert error == {"type": "ERROR", "message": both, "code": "too-many-ids"}
    assert said["accepted"] == [CHA]
    assert [(each["id"], each["why"]) for each in said["ignored"]] == [
        ("nonsense", "invalid"),
        (WELSH, "too-many"),
        (STX, "too-many"),
    ]


def test_only_users_within_the_limit_are_watched() -> None:
    speaker = a_desk(per_client=1).speaker("balances")
    effects = speaker.says("SUBSCRIBE", userIds=[ANNE, BOB])
    assert effects.watch == {ANNE}
    assert effects.error == "too-many-ids"


@pytest.mark.parametrize("features", [(), ("ack",)])
def test_who_may_not_ask_for_a_reading_is_told(features: tuple[str, ...]) -> None:
    desk = a_desk()
    speaker = desk.speaker("prices", *features)
    desk.hub.connect(speaker.id, "prices", now_ms=NOW_MS, may_refresh=False)
    if features:
        speaker.hello(*features)
    effects = speaker.says("MANUAL_UPDATE")
    code = {"code": "refused"} if features else {}
    told = {"type": "ERROR", "message": "Not allowed to ask for an update", **code}
    assert heard(effects.frames) == [told]
    assert (effects.refresh, effects.error) == (None, "refused")


@pytest.mark.parametrize("said", [TOO_MANY_MESSAGES, TOO_MANY_ERRORS])
def test_a_client_can_be_told_that_it_went_too_far(said: Refused) -> None:
    desk = a_desk()
    speaker = desk.speaker("prices", "ack")
    effects = desk.hub.handle(speaker.id, said, now_ms=NOW_MS)
    told = {"type": "ERROR", "message": said.message, "code": said.code}
    assert heard(effects.frames) == [told]
