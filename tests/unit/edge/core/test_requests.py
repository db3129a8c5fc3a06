"""What clients that said HELLO are answered; the base protocol is in test_hub.py."""

from typing import Any

import pytest
from pydantic import BaseModel

from edge.core.cursor import parse_cursor
from edge.core.forms import BASE
from edge.core.hub import ClientId
from edge.core.places import Place
from edge.core.rules import Rules
from schemas import extras
from schemas.demand import RefreshKind
from schemas.extras import FEATURES
from schemas.ids import STX
from tests.support.edge_clients import Desk, Speaker
from tests.support.edge_table import (
    ANNE,
    BOB,
    CHA,
    CHA_SUBNET,
    NOW_MS,
    WELSH,
    balance,
    gone,
    heard,
    price,
    token,
)

KNOWN = (token(CHA, decimals=6), token(WELSH, decimals=6))
TWO = (price(CHA, "1"), price(WELSH, "2"))


def held_to(kind: type[BaseModel], message: dict[str, Any]) -> dict[str, Any]:
    """Return a message after holding it to its model, but for what features add."""
    added = {"seq", "cursor", "version"}
    kind.model_validate({k: v for k, v in message.items() if k not in added})
    return message


def ids(messages: list[dict[str, Any]]) -> list[str]:
    return [each["contractId"] for each in messages]


def test_a_hub_that_offers_nothing_does_not_know_hello() -> None:
    speaker = Desk(rules=Rules()).speaker()
    (error,) = speaker.asks("HELLO", features=["ack"])
    assert error.keys() == {"type", "message"}
    assert error["message"].startswith("Unknown message type")


def test_known_features_are_granted_and_the_others_named() -> None:
    desk = Desk(rules=Rules(features=("ack", "heartbeat"), heartbeat_ms=7))
    speaker = desk.speaker("balances")
    said = speaker.hello("heartbeat", "x" * 300, "seq", "\ud800")
    assert held_to(extras.Welcome, said) == {
        "type": "WELCOME",
        "party": "balances",
        "features": ["heartbeat"],
        "ignored": ["seq", "x" * 200, "?"],
        "log": "0" * 12,
        "heartbeatMs": 7,
        "timestamp": NOW_MS,
    }
    assert "heartbeatMs" not in held_to(extras.Welcome, speaker.hello())


def test_before_the_log_is_known_it_has_no_name() -> None:
    desk = Desk()
    desk.put((b"log:identity", None))
    assert desk.speaker().hello("resume")["log"] == ""


def test_a_list_of_ignored_things_is_cut() -> None:
    speaker = Desk().speaker("prices", "ack")
    many = [f"{number}" + "y" * 190 for number in range(300)]
    (said,) = speaker.asks("SUBSCRIBE", contractIds=many)
    held_to(extras.Subscribed, said)
    assert len(said["ignored"]) + said["ignoredMore"] == 300
    assert 50 < len(said["ignored"]) < 100
    assert len(speaker.hello(*many)["ignored"]) < 100


def test_an_answer_lists_what_was_taken_and_what_was_not() -> None:
    speaker = Desk(*TWO).speaker("prices", "ack")
    asked = ["stx", f"{CHA}::cha", "no id", 7, CHA]
    said, update = speaker.asks("SUBSCRIBE", contractIds=asked)
    assert held_to(extras.Subscribed, said) == {
        "type": "SUBSCRIBED",
        "party": "prices",
        "accepted": ["stx", CHA],
        "ignored": [
            {"id": "no id", "why": "invalid"},
            {"id": "7", "why": "invalid"},
        ],
        "timestamp": NOW_MS,
    }
    assert update["contractId"] == CHA
    (said,) = speaker.asks("UNSUBSCRIBE", contractIds=[STX, WELSH, "?"])
    assert held_to(extras.Unsubscribed, said) == {
        "type": "UNSUBSCRIBED",
        "party": "prices",
        "accepted": [STX],
        "ignored": [
            {"id": "?", "why": "invalid"},
            {"id": WELSH, "why": "not-subscribed"},
        ],
        "timestamp": NOW_MS,
    }
    assert speaker.asks("SUBSCRIBE")[0]["accepted"] is None
    assert speaker.asks("UNSUBSCRIBE")[0]["accepted"] is None


@pytest.mark.parametrize("named", [[], [CHA]])
def test_one_that_is_subscribed_to_all_is_told_that_it_cannot_leave_one_out(
    named: list[str],
) -> None:
    desk = Desk(*TWO)
    speaker = desk.speaker("prices", "ack")
    for each in ([], named):
        speaker.asks("SUBSCRIBE", contractIds=each)
    (said,) = speaker.asks("UNSUBSCRIBE", contractIds=[CHA, WELSH, "?", CHA])
    assert held_to(extras.Unsubscribed, said)["accepted"] == []
    assert said["ignored"] == [
        {"id": "?", "why": "invalid"},
        {"id": CHA, "why": "subscribed-to-all"},
        {"id": WELSH, "why": "subscribed-to-all"},
    ]
    # It is true: changes still come, until the client leaves all.
    (write,) = desk.put(price(CHA, "2", version=2))
    assert ids(heard([write.frames])) == [CHA]
    speaker.asks("UNSUBSCRIBE")
    (said,) = speaker.asks("UNSUBSCRIBE", contractIds=[CHA])
    assert said["ignored"] == [{"id": CHA, "why": "not-subscribed"}]


def test_a_base_client_subscribed_to_all_goes_on_getting_all_in_silence() -> None:
    desk = Desk(*TWO)
    speaker = desk.speaker("prices")
    speaker.asks("SUBSCRIBE")
    assert speaker.asks("UNSUBSCRIBE", contractIds=[CHA]) == []
    (write,) = desk.put(price(CHA, "2", version=2))
    assert ids(heard([write.frames])) == [CHA]


def test_errors_have_codes_for_those_who_asked() -> None:
    speaker = Desk().speaker("prices", "ack")
    assert [speaker.asks(kind)[0].get("code") for kind in ("X", "HELLO")] == [
        "unknown-type",
        None,
    ]
    speaker.hello("ack")
    assert speaker.asks("SUBSCRIBE", contractIds=7)[0]["code"] == "bad-format"


def test_other_requests_are_served_as_ever() -> None:
    speaker = Desk().speaker("prices", *FEATURES)
    assert speaker.asks("PING", timestamp=7) == [
        {"seq": 1, "type": "PONG", "timestamp": 7}
    ]
    assert speaker.says("MANUAL_UPDATE").refresh is RefreshKind.PRICES


def test_messages_are_numbered_from_welcome_on_without_a_gap() -> None:
    desk = Desk(*TWO)
    speaker, other = (desk.speaker("prices", "seq", "ack") for _ in range(2))
    told = speaker.asks("SUBSCRIBE", contractIds=[CHA])
    told += speaker.asks("PING")
    other.asks("SUBSCRIBE", contractIds=[CHA])
    writes = desk.put(price(CHA, "2"), price(WELSH, "3"))
    assert [len(write.clients) for write in writes] == [1, 1]
    told += speaker.hears(writes)
    # The answer to another HELLO is one of them; then the numbers end.
    told += [speaker.hello("ack")]
    assert [each["seq"] for each in told] == [1, 2, 3, 4, 5]
    assert "seq" not in speaker.asks("PING")[0]
    assert [each["seq"] for each in other.hears(writes)] == [3]


def test_updates_have_versions_and_the_last_of_a_write_the_cursor() -> None:
    desk = Desk(*KNOWN, *TWO, balance(ANNE, CHA, 5, version=4))
    speaker = desk.speaker("prices", "resume")
    (batch,) = speaker.asks("SUBSCRIBE")
    assert [each["version"] for each in batch["prices"]] == [1, 1]
    assert "cursor" in batch
    writes = desk.put(price(CHA, "2", version=2), price(WELSH, "3", version=2))
    first, last = speaker.hears(writes)
    assert (first["version"], last["version"]) == (2, 2)
    assert "cursor" not in first
    cursor = parse_cursor(last["cursor"])
    assert cursor is not None
    assert cursor.positions == (9,)
    owner = desk.speaker("balances", "resume")
    (batch,) = owner.asks("SUBSCRIBE", userIds=[ANNE])
    assert [each["version"] for each in batch["balances"]] == [4, 0]


def cursor_of(speaker: Speaker, **fields: Any) -> str:
    """Subscribe, and return the cursor that comes with the answer."""
    cursor: str = speaker.asks("SUBSCRIBE", **fields)[-1]["cursor"]
    return cursor


def test_who_resumes_gets_what_changed_and_no_more() -> None:
    desk = Desk(*TWO, price(STX, "1"), token(CHA_SUBNET, type="SUBNET", base=CHA))
    since = cursor_of(desk.speaker("prices", "resume"))
    back = desk.speaker("prices", "resume")
    effects = back.says("SUBSCRIBE", since=since)
    assert effects.resumed == "recovered"
    (said,) = heard(effects.frames)
    assert held_to(extras.Subscribed, said)["recovered"] is True
    assert said["cursor"] == since
    desk.put(price(STX, "2", version=2), price(CHA, "3", version=2))
    _, *updates = desk.speaker("prices", "resume").asks("SUBSCRIBE", since=since)
    assert ids(updates) == [STX, "stx", CHA, CHA_SUBNET]
    named = desk.speaker("prices", "resume")
    asked = ["stx", WELSH, CHA_SUBNET]
    _, *updates = named.asks("SUBSCRIBE", contractIds=asked, since=since)
    assert ids(updates) == ["stx", CHA_SUBNET]


def test_what_was_withdrawn_or_moved_is_void_first() -> None:
    moved = token(CHA_SUBNET, type="SUBNET", base=WELSH)
    desk = Desk(*TWO, price(STX, "1"), token(CHA_SUBNET, type="SUBNET", base=CHA))
    live = desk.speaker("prices", "resume")
    since = cursor_of(live)
    told = live.hears(desk.put(gone(price(STX, "1")), moved))
    assert [(m["type"], m["contractId"]) for m in told] == [
        ("REMOVED", STX),
        ("REMOVED", "stx"),
        ("REMOVED", CHA_SUBNET),
        ("PRICE_UPDATE", CHA_SUBNET),
    ]
    held_to(extras.Removed, told[0])
    assert ["cursor" in each for each in told] == [False, False, False, True]
    back = desk.speaker("prices", "resume")
    said, *again = back.asks("SUBSCRIBE", since=since)
    assert said["recovered"]
    assert [(m["type"], m["contractId"]) for m in again] == [
        (m["type"], m["contractId"]) for m in told
    ]
    assert desk.speaker().hears(desk.put(gone(price(CHA, "1")))) == []


@pytest.mark.parametrize("fields", [{}, {"userIds": [ANNE]}], ids=["all", "named"])
def test_forgotten_balances_are_removed_for_who_resumes(fields: dict[str, Any]) -> None:
    held = balance(ANNE, CHA, 5)
    desk = Desk(*KNOWN, held, balance(ANNE, WELSH, 6), balance(BOB, CHA, 7))
    base, live = desk.speaker("balances"), desk.speaker("balances", "resume")
    base.asks("SUBSCRIBE", **fields)
    since = cursor_of(live, **fields)
    writes = desk.put(gone(held))
    assert base.hears(writes) == []
    (removed,) = live.hears(writes)
    assert held_to(extras.Removed, removed)["userId"] == ANNE
    back = desk.speaker("balances", "resume")
    said, again = back.asks("SUBSCRIBE", since=since, **fields)
    assert said["recovered"]
    assert (again["type"], again["contractId"]) == ("REMOVED", CHA)
    (update,) = live.hears(desk.put(balance(ANNE, CHA, 9, version=2)))
    assert (update["version"], update["balance"]) == (2, 9)


@pytest.mark.parametrize("fields", [{}, {"userIds": [ANNE]}], ids=["all", "named"])
def test_balances_that_waited_for_decimals_come_to_who_resumes(
    fields: dict[str, Any],
) -> None:
    desk = Desk(KNOWN[0], balance(ANNE, CHA, 5), balance(ANNE, WELSH, 6))
    since = cursor_of(desk.speaker("balances", "resume"), **fields)
    desk.put(KNOWN[1])
    back = desk.speaker("balances", "resume")
    _, update = back.asks("SUBSCRIBE", since=since, **fields)
    assert (update["type"], update["contractId"]) == ("BALANCE_UPDATE", WELSH)


@pytest.mark.parametrize(
    ("since", "why"),
    [
        ("", "unreadable"),
        ("1.ffffffffffff.1.0", "other-log"),
        ("1.000000000000.1.0", "too-old"),
    ],
)
def test_without_proof_of_completeness_everything_is_sent(since: str, why: str) -> None:
    speaker = Desk(*TWO).speaker("prices", "resume")
    effects = speaker.says("SUBSCRIBE", since=since)
    said, batch = heard(effects.frames)
    held_to(extras.Subscribed, said)
    assert (said["recovered"], said["why"], effects.resumed) == (False, why, why)
    assert ids(batch["prices"]) == [CHA, WELSH]


def test_a_cursor_ahead_of_the_table_is_waited_for() -> None:
    desk, other = Desk(*TWO), Desk(*TWO)
    other.put(price(CHA, "2", version=2))
    since = cursor_of(other.speaker("prices", "resume"))
    speaker = desk.speaker("prices", "resume")
    effects = speaker.says("SUBSCRIBE", since=since)
    waiting = effects.waiting
    assert waiting is not None
    assert (list(effects.frames), desk.hub.has_reached(waiting)) == ([], False)
    late = desk.hub.resume(speaker.id, waiting, now_ms=NOW_MS)
    assert [m.get("why") for m in heard(late.frames)] == ["ahead", None]
    desk.put(price(CHA, "2", version=2))
    assert desk.hub.has_reached(waiting)
    (said,) = heard(desk.hub.resume(speaker.id, waiting, now_ms=NOW_MS).frames)
    assert said["recovered"]


def test_a_cursor_means_nothing_to_who_did_not_ask_for_it() -> None:
    speaker = Desk(*TWO).speaker("prices", "ack")
    effects = speaker.says("SUBSCRIBE", since="?")
    assert effects.resumed is None
    assert "recovered" not in heard(effects.frames)[0]


def test_what_waits_is_dropped_with_its_subscription() -> None:
    desk = Desk(*TWO)
    speaker = desk.speaker()
    speaker.asks("SUBSCRIBE", contractIds=[CHA, WELSH])
    desk.hub.hold(speaker.id)
    desk.put(price(CHA, "2"), price(WELSH, "3"))
    speaker.asks("UNSUBSCRIBE", contractIds=[CHA])
    assert desk.hub.is_behind(speaker.id)
    assert ids(speaker.pull()) == [WELSH]
    desk.hub.hold(speaker.id)
    desk.put(price(WELSH, "4"))
    speaker.asks("UNSUBSCRIBE", contractIds=[WELSH])
    assert not desk.hub.is_behind(speaker.id)
    # Under "all" an id that is given up is still wanted.
    speaker.asks("SUBSCRIBE")
    desk.hub.hold(speaker.id)
    desk.put(price(WELSH, "5"))
    speaker.asks("UNSUBSCRIBE", contractIds=[WELSH])
    assert ids(speaker.pull()) == [WELSH]


@pytest.mark.parametrize("fields", [{}, {"userIds": [ANNE]}], ids=["all", "named"])
def test_what_vanished_from_the_log_is_removed_for_who_resumes(
    fields: dict[str, Any],
) -> None:
    held = balance(ANNE, CHA, 5)
    desk = Desk(*KNOWN, held, balance(BOB, CHA, 7))
    live = desk.speaker("balances", "resume")
    since = cursor_of(live, **fields)
    # An edge that was away reads on at 90; what stood before that nobody knows.
    writes = desk.hub.withdraw([(held[0], Place(0, 89, NOW_MS))], now_ms=NOW_MS)
    (removed,) = live.hears(writes)
    assert (removed["type"], removed["cursor"]) == ("REMOVED", since)
    desk.skip_to(90)
    desk.put(price(CHA, "2"))
    said, again = desk.speaker("balances", "resume").asks(
        "SUBSCRIBE", since=since, **fields
    )
    assert said["recovered"]
    assert (again["type"], again["contractId"]) == ("REMOVED", CHA)
    (said,) = desk.speaker("balances", "resume").asks(
        "SUBSCRIBE", since=again["cursor"], **fields
    )
    assert said["recovered"]


@pytest.mark.parametrize("packed", [False, True])
def test_what_is_made_for_a_client_alone_is_counted_before_it_is_compressed(
    packed: bool,
) -> None:
    desk = Desk(*TWO)
    member = ClientId(77)
    form = BASE._replace(packed=packed)
    greeting = desk.hub.connect(member, "prices", form=form, now_ms=NOW_MS)
    assert desk.hub.made_bytes(member) == 0  # nothing was pulled yet
    sent = b"".join(greeting.frames)
    before = desk.hub.made_bytes(member)
    assert (
        before == len(sent) - 2 - 4
    )  # without the heads of a short and a longer frame
    # A change goes to all who want it alike.
    desk.put(price(CHA, "2", version=2))
    assert desk.hub.made_bytes(member) == before
    desk.hub.disconnect(member)
    assert desk.hub.made_bytes(member) == 0
