"""One connection as a transcript: what a server says, what the client makes of it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from stacks_feed_client.core.ids import ALL
from stacks_feed_client.core.party import PRICES
from stacks_feed_client.core.reading import MAX_LINE, Message
from stacks_feed_client.core.status import Observed, State
from stacks_feed_client.core.values import Price, Update
from stacks_feed_client.core.writing import FEATURES
from tests.support.client_talk import Talk, a_price, price_message

CURSOR = {"cursor": "c1"}


def state_of(talk: Talk) -> State:
    return talk.machine.status.state


def filled(*, features: tuple[str, ...] = FEATURES) -> Talk:
    """Return a client of all prices that has one, up to the cursor ``c1``."""
    talk = Talk(features=features)
    talk.wants(ALL)
    talk.open()
    if "ack" in features:
        talk.fills(price_message(version=1, **CURSOR))
    else:
        begins, whole = (ping["timestamp"] for ping in talk.take("PING")[-2:])
        talk.hears({"type": "PONG", "timestamp": begins})
        talk.hears(price_message())
        talk.hears({"type": "PONG", "timestamp": whole})
    return talk


def test_it_asks_for_all_features_and_then_for_what_is_wanted() -> None:
    talk = Talk()
    talk.wants(".stx", "SPA.cha")
    talk.open()
    kinds = [message["type"] for message in talk.sent]
    assert kinds == ["HELLO", "PING", "SUBSCRIBE", "PING"]
    assert talk.sent[2]["contractIds"] == [".stx", "SPA.cha"]
    assert talk.machine.features == {*FEATURES}


def test_values_that_come_before_the_greeting_are_left_alone() -> None:
    talk = Talk()
    talk.wants(ALL)
    talk.do(talk.machine.opened(now_s=0.0))
    talk.raw(**price_message())
    assert talk.machine.books.view.values == {}
    assert talk.take("SUBSCRIBE") == []


@pytest.mark.parametrize("answer", ["ERROR", "PONG"])
def test_an_old_server_is_known_by_its_answer(answer: str) -> None:
    talk = Talk(features=())
    talk.wants(ALL)
    talk.do(talk.machine.opened(now_s=0.0))
    (ping,) = talk.take("PING")
    talk.raw(type=answer, timestamp=ping["timestamp"], message="Unknown message type")
    assert talk.machine.features == set()
    assert [message["contractIds"] for message in talk.take("SUBSCRIBE")] == [[]]


def test_it_is_live_once_the_answer_is_whole() -> None:
    talk = Talk()
    talk.wants(ALL)
    talk.open()
    talk.hears({"type": "SUBSCRIBED"}, price_message(version=1))
    assert state_of(talk) is State.FILLING
    assert talk.machine.complete == set()
    talk.pong()
    assert state_of(talk) is State.LIVE
    assert talk.machine.complete == {ALL}


def test_without_anything_wanted_it_is_live_at_once() -> None:
    talk = Talk()
    talk.open()
    assert state_of(talk) is State.LIVE


def test_a_missing_message_ends_the_connection() -> None:
    talk = filled()
    talk.raw(seq=99, **price_message("2", version=2, cursor="c9"))
    assert talk.effects.leave == "a message is missing"
    assert talk.machine.books.counts.gaps == 1
    assert talk.machine.books.view.values[".stx"].version == 1
    assert talk.machine.books.standing.cursor == "c1"


def test_what_cannot_be_read_is_counted() -> None:
    talk = filled()
    talk.do(talk.machine.received("no json", now_s=0.0))
    assert talk.machine.books.counts.unreadable == 1
    talk.hears(price_message("no price"))
    assert talk.machine.books.counts.unreadable == 2


def test_a_value_sent_again_is_no_news() -> None:
    talk = filled()
    talk.hears(price_message(version=1))
    assert talk.effects.updates == []
    assert talk.machine.books.counts.repeats == 1


def test_what_a_later_server_says_is_passed_over() -> None:
    talk = filled()
    talk.hears({"type": "NEWS"}, {"type": "PONG", "timestamp": "mine"})
    assert talk.effects.leave is None


def test_a_removed_key_is_told_and_forgotten() -> None:
    talk = filled()
    talk.hears({"type": "REMOVED", "contractId": ".stx"})
    assert talk.effects.updates == [Update(".stx", None)]
    talk.hears({"type": "REMOVED", "contractId": ".stx"}, {"type": "REMOVED"})
    assert talk.effects.updates == []


def test_values_of_what_is_not_wanted_any_more_are_left_alone() -> None:
    talk = filled()
    talk.wants("SPA.cha")
    talk.hears(price_message("2", version=2))
    assert talk.machine.books.view.values == {}


def test_one_id_cannot_be_taken_out_of_all() -> None:
    talk = filled()
    talk.sent = []
    talk.wants("SPA.cha")
    kinds = [(m["type"], m.get("contractIds")) for m in talk.sent]
    assert kinds[:2] == [("UNSUBSCRIBE", []), ("SUBSCRIBE", ["SPA.cha"])]


def test_an_id_is_taken_out_of_several() -> None:
    talk = Talk()
    talk.wants(".stx", "SPA.cha")
    talk.open()
    talk.fills()
    talk.wants(".stx")
    (message,) = talk.sent
    assert message == {"type": "UNSUBSCRIBE", "contractIds": ["SPA.cha"]}


def test_a_request_is_repeated_without_its_cursor_if_it_was_not_understood() -> None:
    talk = filled()
    talk.open()
    (asked,) = (m for m in talk.sent if m["type"] == "SUBSCRIBE")
    assert asked["since"] == "c1"
    talk.hears({"type": "ERROR", "message": "Invalid message format"})
    talk.pong()
    (again,) = talk.take("SUBSCRIBE")
    assert "since" not in again


def test_ids_that_the_server_does_not_take_are_known() -> None:
    talk = filled()
    ignored = [{"id": "stx", "why": "too-many"}, {"id": "x"}, {}, 5]
    talk.hears({"type": "SUBSCRIBED", "ignored": ignored})
    assert talk.machine.books.ignored == {".stx": "too-many", "x": "ignored"}


@pytest.mark.parametrize(
    ("told", "detail"),
    [
        ({}, ""),
        (
            {"watermarks": [98_500, 99_000], "observed": {"prices": 5_000}},
            ": its log is processed up to 1 s ago; the newest price was observed 95 s ago",
        ),
        ({"watermarks": [40_000, 99_000]}, ": its log is processed up to 60 s ago"),
        ({"watermarks": [None, 99_000]}, ": a shard of its log was never processed"),
        ({"watermarks": [], "observed": {"prices": None}}, ""),
        ({"watermarks": [1], "timestamp": None}, ""),
    ],
)
def test_a_server_that_may_have_old_values_is_stale_and_it_is_said_how_old(
    told: dict[str, object], detail: str
) -> None:
    talk = filled()
    talk.hears({"type": "HEARTBEAT", "stale": True, "timestamp": 100_000, **told})
    assert state_of(talk) is State.STALE
    why = f"the server says that newer values may exist{detail}"
    assert talk.machine.status.why == why
    talk.hears({"type": "HEARTBEAT", "stale": False})
    assert state_of(talk) is State.LIVE
    assert talk.machine.status.recovered is None


@pytest.mark.parametrize(
    ("told", "old", "total"),
    [
        ({"count": 3, "quotedAt": {"a": 5_000, "b": 60_000}}, {"a": 50.0, "b": 0.0}, 3),
        ({"count": 0, "quotedAt": {}}, {}, 0),
        ({"count": "3", "quotedAt": {"a": "x", "b": 5_000}}, {"b": 50.0}, 0),
        ({"quotedAt": [5]}, {}, 0),
        ([], {}, 0),
    ],
    ids=["some", "none", "half readable", "no object", "nothing"],
)
def test_a_server_says_which_prices_nobody_quotes_any_more(
    told: object, old: dict[str, float], total: int
) -> None:
    talk = filled()
    talk.hears({"type": "HEARTBEAT", "oldPrices": told, "timestamp": 55_000})
    found = talk.machine.books.observed
    assert (found.old_prices, found.old_price_count) == (old, total)
    talk.hears({"type": "HEARTBEAT", "oldPrices": told})
    assert talk.machine.books.observed == Observed()


def test_a_server_says_how_old_what_it_observed_is() -> None:
    talk = filled()
    assert talk.machine.books.observed == Observed()
    told = {"prices": 7_000, "balances": None, "tokens": 99_000}
    talk.hears({"type": "HEARTBEAT", "observed": told, "timestamp": 55_000})
    assert talk.machine.books.observed == Observed(48.0, None, 0.0)
    talk.hears({"type": "HEARTBEAT", "observed": told})
    assert talk.machine.books.observed == Observed()
    talk.hears({"type": "HEARTBEAT", "observed": [], "timestamp": 55_000})
    assert talk.machine.books.observed == Observed()


HUGE = 10**4_000


@pytest.mark.parametrize(
    ("promised", "patience_s"),
    [(5_000, 15), (1, 3), (10**12, 360), (0, 30), (HUGE, 30), ("x", 30)],
)
def test_a_server_promises_heartbeats_within_reason(
    promised: object, patience_s: int
) -> None:
    talk = Talk()
    talk.do(talk.machine.opened(now_s=0.0))
    talk.raw(type="WELCOME", features=[*FEATURES], heartbeatMs=promised)
    assert talk.tick(patience_s).leave is None
    assert talk.tick().leave == f"silent for more than {patience_s} s"


def test_a_cursor_that_cannot_be_sent_back_is_none() -> None:
    talk = filled()
    for cursor in ("c" * 16_385, "c 2", "\ud800", "", 5, ["c"]):
        talk.hears(price_message("2", version=2, cursor=cursor))
    assert talk.machine.books.standing.cursor == "c1"


def test_of_ids_that_the_server_does_not_take_the_newest_are_kept() -> None:
    talk = filled()
    for first in (0, 600):
        names = [f"id-{number}" for number in range(first, first + 600)]
        ignored = [{"id": name, "why": "x" * 5_000} for name in names]
        talk.hears({"type": "SUBSCRIBED", "ignored": ignored})
    kept = talk.machine.books.ignored
    assert list(kept) == [f"id-{number}" for number in range(200, 1_200)]
    assert {len(why) for why in kept.values()} == {MAX_LINE}
    talk.hears({"type": "SUBSCRIBED", "ignored": [{"id": "id-200"}, {"id": "S" * 999}]})
    assert list(kept)[-2:] == ["id-200", "S" * MAX_LINE]


def test_a_bug_that_a_message_brings_out_costs_the_connection_alone() -> None:
    def read(said: Message) -> Iterator[Price | None]:
        yield a_price("2", version=2)
        raise KeyError(said["type"])

    talk = filled()
    talk.machine.books.party = replace(PRICES, read=read)
    talk.hears(price_message("2", version=2, cursor="c2"))
    assert talk.effects.leave == "a message cannot be handled: KeyError"
    assert isinstance(talk.effects.error, KeyError)
    assert talk.machine.books.counts.unusable == 1
    # What the view took before is told; the rest is asked for again.
    assert talk.effects.updates == [Update(".stx", a_price("2", version=2))]
    assert talk.machine.books.standing.cursor == "c1"


def test_silence_of_three_heartbeats_ends_the_connection() -> None:
    talk = filled()
    assert talk.tick(15).leave is None
    assert talk.tick().leave == "silent for more than 15 s"
    assert state_of(talk) is State.STALE


def test_a_server_that_talks_and_does_not_answer_is_silent() -> None:
    talk = Talk()
    talk.do(talk.machine.opened(now_s=0.0))
    for _ in range(30):
        talk.raw(**price_message())
        assert talk.tick().leave is None
    assert talk.tick().leave is not None


def test_an_old_server_is_asked_for_signs_of_life() -> None:
    talk = filled(features=())
    talk.sent = []
    talk.tick(10)
    assert len(talk.sent) == 1
    talk.pong()
    assert talk.tick(20).leave is None


def test_after_a_notice_it_leaves_when_the_time_has_come() -> None:
    talk = filled()
    talk.hears({"type": "SHUTDOWN", "reconnectInMs": 2_000})
    assert talk.tick().leave is None
    assert talk.tick().leave == "the server restarts"


def test_without_acks_where_an_answer_begins_is_asked_for() -> None:
    talk = filled(features=())
    talk.open()
    kinds = [m["type"] for m in talk.sent]
    assert kinds == ["HELLO", "PING", "PING", "SUBSCRIBE", "PING"]
    talk.pong()
    assert talk.machine.books.view.values == {}
    assert talk.machine.status.recovered is False


def test_a_value_on_its_way_from_before_an_answer_does_not_outlive_it() -> None:
    talk = Talk()
    talk.wants(".stx")
    talk.open()
    talk.fills()
    talk.wants()
    talk.wants(".stx")
    talk.hears(price_message(version=1))
    talk.fills()
    assert talk.effects.updates == [Update(".stx", None)]
    assert a_price(version=1) not in talk.machine.books.view.values.values()
