"""Prices in doubt are shown while they are: in metrics, readiness and the log."""

import logging

import pytest
from prometheus_client import REGISTRY

from processor.core.prices import Doubt
from processor.doubts import MAX_NAMED, PriceDoubts
from runtime.health import Health
from schemas.ids import ContractId
from schemas.log import Unquoted
from tests.support.clock import ManualClock

SUSPECT = {Doubt.SUSPECT: "a says 11"}
UNDECIDED = {Doubt.UNDECIDED: "a says 1, b says 11"}


def warnings_of(doubts: PriceDoubts) -> dict[str, str]:
    health = Health()
    doubts.show_in(health)
    return dict(health.report().warnings)


def count(shard: int, kind: Doubt) -> float | None:
    labels = {"shard": f"{shard}", "doubt": kind.value}
    return REGISTRY.get_sample_value("stacks_feed_price_doubts", labels)


def test_a_doubt_is_a_warning_with_the_id_of_the_token_until_it_is_gone() -> None:
    doubts = PriceDoubts(ManualClock())
    doubts.update(3, [(".stx", SUSPECT), ("SP1.welsh", UNDECIDED), ("SP1.other", {})])
    warnings = warnings_of(doubts)
    assert set(warnings) == {"price suspect", "price undecided"}
    assert ".stx (a says 11)" in warnings["price suspect"]
    assert "SP1.welsh (a says 1, b says 11)" in warnings["price undecided"]
    assert "may be wrong" in warnings["price undecided"]
    doubts.update(3, [(".stx", {}), ("SP1.welsh", SUSPECT)])
    warnings = warnings_of(doubts)
    assert set(warnings) == {"price suspect"}
    assert "SP1.welsh" in warnings["price suspect"]


def test_tokens_in_doubt_are_counted_by_shard_and_kind() -> None:
    doubts = PriceDoubts(ManualClock())
    doubts.update(1, [("SP1.a", SUSPECT), ("SP1.b", SUSPECT)])
    doubts.update(2, [("SP1.c", UNDECIDED)])
    assert count(1, Doubt.SUSPECT) == 2
    assert count(2, Doubt.SUSPECT) == 0
    assert count(2, Doubt.UNDECIDED) == 1
    doubts.forget(1)
    assert count(1, Doubt.SUSPECT) is None
    assert set(warnings_of(doubts)) == {"price undecided"}


def test_a_warning_names_a_few_tokens_and_counts_the_rest() -> None:
    doubts = PriceDoubts(ManualClock())
    doubts.update(0, [(f"SP1.t{n}", SUSPECT) for n in range(MAX_NAMED + 7)])
    (warning,) = warnings_of(doubts).values()
    assert warning.count("SP1.") == MAX_NAMED
    assert warning.startswith(f"{MAX_NAMED + 7} tokens: ")
    assert warning.endswith("and 7 more")


def test_one_line_tells_when_a_doubt_begins_and_one_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock = ManualClock()
    doubts = PriceDoubts(clock)
    for _ in range(5):
        doubts.update(0, [(".stx", SUSPECT)])
    doubts.update(0, [(".stx", {})])
    doubts.update(0, [(".stx", {})])
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert lines == [
        ("WARNING", "prices in doubt: suspect"),
        ("INFO", "prices no longer in doubt: suspect"),
    ]
    assert vars(caplog.records[0])["tokens"] == [".stx (a says 11)"]


def no_quotes(shard: int, *names: str, more: int = 0) -> Unquoted:
    prices = {ContractId(name): 1_000 for name in names}
    return Unquoted(shard=shard, count=len(prices) + more, prices=prices)


def test_tokens_that_no_source_quotes_are_a_warning_with_the_time_of_their_last_quote() -> (
    None
):
    doubts = PriceDoubts(ManualClock())
    doubts.replace(1, no_quotes(1, "SP1.a", more=9))
    doubts.replace(2, no_quotes(2, "SP1.b"))
    # What its own quotes say of a token does not make it quoted.
    doubts.update(1, [("SP1.a", SUSPECT)])
    warnings = warnings_of(doubts)
    assert set(warnings) == {"price suspect", "price unquoted"}
    assert warnings["price unquoted"] == (
        "11 tokens: no source quotes it any more; the last price stays, and is old: "
        "SP1.a (last quoted 1970-01-01T00:00:01Z); "
        "SP1.b (last quoted 1970-01-01T00:00:01Z); and 9 more"
    )
    assert (count(1, Doubt.UNQUOTED), count(2, Doubt.UNQUOTED)) == (10, 1)
    doubts.replace(1, no_quotes(1))
    assert (count(1, Doubt.UNQUOTED), count(2, Doubt.UNQUOTED)) == (0, 1)
    doubts.forget(2)
    assert count(2, Doubt.UNQUOTED) is None
    assert set(warnings_of(doubts)) == {"price suspect"}


def test_a_moment_beyond_every_calendar_is_no_reason_to_stop() -> None:
    doubts = PriceDoubts(ManualClock())
    doubts.replace(
        0, Unquoted(shard=0, count=1, prices={ContractId("SP1.a"): 2**53 - 1})
    )
    assert "9999-12-31" in warnings_of(doubts)["price unquoted"]


async def test_a_token_that_stays_unquoted_is_not_logged_again_with_every_commit(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock = ManualClock()
    doubts = PriceDoubts(clock)
    for _ in range(3):
        doubts.replace(0, no_quotes(0, "SP1.a"))
        doubts.update(0, [(".stx", {})])
        await clock.advance(3_600)
    doubts.replace(0, no_quotes(0))
    assert [record.getMessage() for record in caplog.records] == [
        "prices in doubt: unquoted",
        "prices no longer in doubt: unquoted",
    ]
