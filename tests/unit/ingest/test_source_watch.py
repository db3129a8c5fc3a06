"""What is shown of silent sources as time passes, with a clock that a test moves."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ingest.core.silence import Cause, Failure, SourceKind
from ingest.source_watch import SourceWatch
from runtime.metrics import SOURCE_INTERVAL, SOURCE_SILENT
from schemas.ids import STX
from schemas.prices import PriceObserved
from tests.support.clock import ManualClock
from tests.support.tasks import beside

GONE = Failure("status 404", Cause.MISSING)


@asynccontextmanager
async def watching(clock: ManualClock) -> AsyncIterator[SourceWatch]:
    watch = SourceWatch(clock)
    watch.expect("kraxel", SourceKind.PRICES, interval_s=300.0)
    async with beside(watch.run()):
        await clock.until_asleep()
        yield watch


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.message) for record in caplog.records]


async def test_silence_is_noticed_as_time_passes_and_ends_with_an_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock = ManualClock()
    gauge = SOURCE_SILENT.labels("kraxel", "prices")
    async with watching(clock) as watch:
        assert SOURCE_INTERVAL.labels("kraxel", "prices")._value.get() == 300
        watch.asked("kraxel")
        watch.failed("kraxel", GONE)
        await clock.advance(598)
        assert (lines(caplog), gauge._value.get(), watch.trouble()) == ([], 0, None)
        await clock.advance(3)
        assert lines(caplog) == [("WARNING", "source silent")]
        assert vars(caplog.records[0])["why"] == "status 404"
        assert gauge._value.get() == 1
        await clock.advance(3_600)
        assert len(caplog.records) == 1
        watch.answered("kraxel")
        assert lines(caplog)[1:] == [("INFO", "source heard again")]
        assert vars(caplog.records[1])["after"] == "70 min"
        assert (gauge._value.get(), watch.trouble()) == (0, None)


async def test_a_client_that_nobody_follows_may_report_all_the_same() -> None:
    watch = SourceWatch(ManualClock())
    watch.asked("contract")
    watch.refused("contract", "a", GONE)
    watch.answered("contract")
    assert watch.trouble() is None


def old_price(clock: ManualClock, *, age_ms: int) -> PriceObserved:
    now_ms = clock.now_ms()
    return PriceObserved(
        contract_id=STX,
        source="kraxel",
        usd="1",
        observed_at=now_ms,
        source_time=now_ms - age_ms,
    )


async def test_whoever_gives_the_prices_away_shows_nothing_of_their_sources() -> None:
    clock = ManualClock()
    async with watching(clock) as watch:
        watch.asked("kraxel")
        watch.prices("kraxel", [old_price(clock, age_ms=7_200_000)])
        await clock.advance(700)
        assert "no usable answer" in (watch.trouble() or "")
        assert "120 min old" in (watch.old_values() or "")
        watch.release(SourceKind.TOKENS)
        assert watch.trouble() is not None
        watch.release(SourceKind.PRICES)
        assert (watch.trouble(), watch.old_values()) == (None, None)
        assert SOURCE_SILENT.labels("kraxel", "prices")._value.get() == 0
