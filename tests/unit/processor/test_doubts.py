"""Prices in doubt are shown while they are: in metrics, readiness and the log."""

import logging

import pytest
from prometheus_client import REGISTRY

from processor.core.prices import Doubt
from processor.doubts import MAX_NAMED, PriceDoubts
from runtime.health import Health
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
