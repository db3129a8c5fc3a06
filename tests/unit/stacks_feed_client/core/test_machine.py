"""A feed over several connections."""

import pytest

from stacks_feed_client.core.conversation import MAX_AWAY_S, Effects
from stacks_feed_client.core.ids import ALL
from stacks_feed_client.core.machine import Lost
from stacks_feed_client.core.pace import Pace
from stacks_feed_client.core.status import State, Status
from stacks_feed_client.core.values import Update
from tests.support.client_talk import Talk, price_message

LOST = Lost("closed with 1006", code=1006)


def filled(*urls: str) -> Talk:
    """Return a client of all prices that has two, up to the cursor ``c1``."""
    talk = Talk(urls=urls or ("ws://a",))
    talk.wants(ALL)
    talk.open()
    other = price_message(contract="SPA.cha", version=4, cursor="c1")
    talk.fills(price_message(version=3), other)
    return talk


def loses(talk: Talk, lost: Lost = LOST, *, draw: float = 0.0) -> float | None:
    return talk.machine.lost(lost, now_s=talk.now_s, draw=draw)


def test_it_goes_on_from_the_last_cursor_anywhere() -> None:
    talk = filled("ws://a", "ws://b")
    loses(talk)
    assert talk.machine.status == Status(State.CONNECTING, "ws://b", LOST.why)
    talk.open()
    assert talk.sent[2]["since"] == "c1"
    talk.fills(price_message("2", version=4), recovered=True)
    assert talk.machine.status == Status(State.LIVE, "ws://b", recovered=True)
    assert talk.machine.books.view.values.keys() == {".stx", "SPA.cha"}


def test_where_that_cannot_be_proved_what_is_gone_is_removed() -> None:
    talk = filled()
    loses(talk)
    talk.open()
    talk.hears({"type": "SUBSCRIBED", "recovered": False, "why": "too-old"})
    talk.hears(price_message("7", version=1))
    assert [update.key for update in talk.effects.updates] == [".stx"]
    talk.pong()
    assert talk.effects.updates == [Update("SPA.cha", None)]
    assert talk.machine.status.recovered is False


def test_a_rebuilding_that_is_cut_short_is_begun_anew() -> None:
    talk = filled()
    loses(talk)
    talk.open()
    talk.hears({"type": "SUBSCRIBED", "recovered": False})
    talk.hears(price_message("7", version=1, cursor="c2"))
    loses(talk)
    talk.sent = []
    talk.open()
    (asked,) = talk.take("SUBSCRIBE")
    assert "since" not in asked


def test_after_an_old_server_no_cursor_is_gone_on_from() -> None:
    talk = filled()
    loses(talk)
    talk.features = ()
    talk.open()
    loses(talk)
    talk.features = ("resume",)
    talk.sent = []
    talk.open()
    (asked,) = talk.take("SUBSCRIBE")
    assert "since" not in asked


def test_what_is_wanted_changes_while_there_is_no_connection() -> None:
    talk = filled()
    loses(talk)
    talk.wants(".stx")
    assert talk.machine.books.view.values.keys() == {".stx"}
    assert talk.sent == []


def test_what_is_unsubscribed_and_subscribed_in_one_breath_stays() -> None:
    talk = filled()
    talk.machine.want(frozenset())
    talk.machine.want(frozenset({ALL}))
    talk.sent = []
    talk.drain()
    assert talk.sent == []
    assert talk.machine.complete == {ALL}


def test_a_refresh_waits_for_a_connection() -> None:
    talk = Talk()
    talk.machine.refresh()
    assert not talk.machine.has_text(now_s=0.0)
    assert talk.machine.next_text(now_s=0.0) is None
    talk.open()
    assert talk.take("MANUAL_UPDATE")
    talk.drain()
    assert talk.sent == []


def test_waits_grow_while_no_connection_lasts() -> None:
    talk = Talk()
    assert [loses(talk, draw=1.0) for _ in range(3)] == [0.5, 1.0, 2.0]
    talk.open()
    talk.now_s += 60
    assert loses(talk, draw=1.0) == 0.5


def test_after_a_notice_it_comes_back_when_it_was_told_to() -> None:
    talk = filled()
    talk.hears({"type": "SHUTDOWN", "reconnectInMs": 3_000})
    talk.now_s += 1
    assert loses(talk, Lost("closed with 1012", code=1012), draw=1.0) == 2.0


@pytest.mark.parametrize("away_ms", [3_000, 10**12, 10**4_000])
def test_after_a_notice_another_address_is_tried_at_once(away_ms: int) -> None:
    talk = filled("ws://a", "ws://b")
    talk.hears({"type": "SHUTDOWN", "reconnectInMs": away_ms})
    assert loses(talk, Lost("closed with 1012", code=1012)) == 0.0
    assert talk.machine.url == "ws://b"


def test_no_notice_keeps_a_client_away_for_longer_than_minutes() -> None:
    talk = filled()
    talk.hears({"type": "SHUTDOWN", "reconnectInMs": 10**12})
    assert loses(talk, Lost("closed with 1012", code=1012)) == MAX_AWAY_S


def test_a_retry_after_is_waited_for() -> None:
    talk = Talk()
    refused = Lost("HTTP 503", status=503, retry_after_s=7.0)
    assert not refused.is_final
    assert loses(talk, refused) == 7.0


@pytest.mark.parametrize(
    ("lost", "is_final"),
    [
        (Lost("", code=1008), True),
        (Lost("", code=1012), False),
        (Lost("", code=1013), False),
        (Lost("", status=404), True),
        (Lost("", status=429), False),
        (Lost("", status=500), False),
        (Lost(""), False),
    ],
    ids=str,
)
def test_some_ends_are_final(lost: Lost, *, is_final: bool) -> None:
    assert lost.is_final is is_final


TOO_FAST = {"type": "ERROR", "message": "Slow down", "code": "rate"}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TOO_FAST, ""),
        ({"type": "ERROR", "message": "Too many messages"}, ""),
        ({"type": "NEWS"}, "too many messages"),
        ({"type": "NEWS"}, "rate limit exceeded"),
    ],
)
def test_a_server_that_was_sent_too_much_is_come_back_to_later_each_time(
    error: dict[str, str], reason: str
) -> None:
    talk = filled()
    waits_s = []
    for _ in range(3):
        talk.open()
        talk.hears(error)
        talk.now_s += 60
        lost = Lost("closed with 1008", code=1008, reason=reason)
        waits_s.append(loses(talk, lost, draw=1.0))
    assert waits_s == [0.5, 1.0, 2.0]
    assert (talk.machine.status.why or "").startswith("closed with 1008")


@pytest.mark.parametrize("reason", ["", "too many errors", "not welcome, corporate"])
def test_a_server_that_will_not_have_us_is_left_for_good(reason: str) -> None:
    lost = Lost("closed with 1008", code=1008, reason=reason)
    assert loses(filled(), lost) is None
    assert loses(Talk(), lost) is None


def test_one_address_that_will_not_have_us_leaves_the_other() -> None:
    talk = filled("ws://a", "ws://b")
    assert loses(talk, Lost("HTTP 404", status=404)) == 0.0
    assert talk.machine.url == "ws://b"
    assert loses(talk) == 0.0
    assert talk.machine.url == "ws://b"
    assert loses(talk, Lost("HTTP 403", status=403)) is None


def test_what_was_closed_just_before_a_connection_is_lost_is_not_held_on_to() -> None:
    talk = filled()
    talk.machine.want(frozenset({".stx"}))
    loses(talk)
    assert talk.machine.books.view.values.keys() == {".stx"}


def test_what_is_asked_for_during_the_greeting_is_waited_for() -> None:
    talk = Talk()
    talk.do(talk.machine.opened(now_s=0.0))
    talk.machine.want(frozenset({".stx"}))
    assert not talk.machine.has_text(now_s=0.0)
    talk.raw(type="WELCOME", features=[])
    assert talk.machine.status.state is State.FILLING
    assert talk.take("SUBSCRIBE")


def test_what_is_given_up_before_it_is_asked_for_is_not_waited_for() -> None:
    pace = Pace(per_s=1.0, burst=2.0)
    talk = Talk(pace=pace)
    talk.wants(".stx")
    talk.open()
    assert talk.take("SUBSCRIBE") == []
    talk.wants()
    talk.now_s += 1
    talk.drain()
    assert talk.sent == []
    assert talk.machine.status.state is State.LIVE


def test_a_refusal_has_the_words_of_the_server() -> None:
    talk = filled()
    lost = Lost("closed with 1008", code=1008)
    assert talk.machine.refusal(lost) == "closed with 1008"
    talk.hears({"type": "ERROR", "message": "Too many messages", "code": "rate"})
    assert talk.machine.refusal(lost) == "closed with 1008: Too many messages"
    talk.machine.close("refused")
    assert talk.machine.status == Status(State.CLOSED, "ws://a", "refused")
    assert talk.machine.refusal(lost) == "closed with 1008"


def test_without_a_connection_nothing_comes_of_what_is_left() -> None:
    talk = Talk()
    talk.raw(**price_message())
    assert talk.effects == Effects()
    assert talk.tick() == Effects()
