"""What ingest says of itself: why it is not ready, and what an operator should see."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsIndex

import pytest

from eventlog.port import LogError, LogUnavailable
from runtime.clock import SystemClock
from runtime.health import Health
from runtime.metrics import (
    BREAKER_OPEN,
    INGEST_SHARDS,
    PRICE_DISAGREEMENTS,
    PRICE_SPREAD,
    PRICE_UNCHECKED,
)
from schemas.prices import PriceObserved
from tests.support.awaiting import eventually
from tests.support.ingesting import (
    PARTITIONS,
    Admin,
    a_log,
    admin_of,
    config_for,
    ingesting,
    simulated,
    started,
)
from tests.support.tasks import beside
from tests.support.troubled import Troubled


class Lasting(list[LogError]):
    """Trouble that lasts until it is cleared; it lets others run meanwhile."""

    def pop(self, _: SupportsIndex = -1) -> LogError:
        return self[0]


@dataclass
class Away:
    """Ingest on a log of which one call fails until it is healed."""

    trouble: Lasting
    health: Health
    admin: Admin

    def names(self) -> set[str]:
        return set(self.health.reasons())


@asynccontextmanager
async def away(folder: Path, call: str, **changes: Any) -> AsyncIterator[Away]:
    trouble = Lasting([LogUnavailable("the test", why="it says so")])
    async with (
        simulated() as simulator,
        admin_of(simulator) as admin,
        a_log(folder) as log,
    ):
        health = Health()
        failing = Troubled(log, **{call: trouble}).as_log()
        config = config_for(simulator.url, **changes)
        async with beside(started(failing, config, SystemClock(), health)):
            yield Away(trouble, health, admin)


async def test_a_log_that_takes_nothing_is_a_reason_and_so_is_a_full_buffer(
    tmp_path: Path,
) -> None:
    async with away(tmp_path, "append", buffer_records=1) as ingest:
        await eventually(lambda: ingest.names() == {"log", "buffer"})
        said = ingest.health.reasons()
        assert "it says so" in said["log"]
        assert "wait for the log, nothing is read" in said["buffer"]
        ingest.trouble.clear()
        await eventually(lambda: not ingest.names())


async def test_who_cannot_join_the_group_is_not_ready(tmp_path: Path) -> None:
    async with away(tmp_path, "member") as ingest:
        await eventually(lambda: ingest.names() == {"group"})
        assert ingest.health.report().facts == {"shards": []}
        ingest.trouble.clear()
        await eventually(lambda: not ingest.names())
        assert ingest.health.report().facts == {"shards": list(range(PARTITIONS))}
        assert INGEST_SHARDS._value.get() == PARTITIONS


async def test_who_cannot_read_where_the_log_stands_owns_nothing_yet(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with away(tmp_path, "oldest") as ingest:
        await eventually(lambda: "raw topics not readable" in caplog.messages)
        assert ingest.names() >= {"group", "registry"}
        assert ingest.health.report().facts == {"shards": []}
        ingest.trouble.clear()
        await eventually(lambda: not ingest.names())


async def test_sources_that_are_left_alone_are_a_warning_each(tmp_path: Path) -> None:
    async with ingesting(tmp_path, price_interval_s=0.0) as ingest:
        await ingest.admin.fault("kraxel", "500")
        await ingest.admin.fault("stxtools", "html")
        await eventually(
            lambda: ingest.health.report().warnings.get("upstreams", "").count("(") == 2
        )
        report = ingest.health.report()
        assert "kraxel (status 500)" in report.warnings["upstreams"]
        assert "stxtools (not JSON)" in report.warnings["upstreams"]
        await eventually(lambda: ingest.health.report().ready)
        assert BREAKER_OPEN.labels("kraxel")._value.get() == 1


async def test_a_source_whose_prices_are_far_from_the_others_is_a_warning(
    tmp_path: Path,
) -> None:
    async with ingesting(tmp_path, price_interval_s=0.05) as ingest:
        await ingest.seen.until(lambda seen: _sources(seen) == 3)
        await eventually(lambda: PRICE_DISAGREEMENTS.labels("kraxel")._value.get() == 0)
        assert "prices" not in ingest.health.report().warnings
        assert PRICE_SPREAD._value.get() < 1.1
        await ingest.admin.fault("kraxel", "inflated")
        await eventually(lambda: "prices" in ingest.health.report().warnings)
        said = ingest.health.report().warnings["prices"]
        assert said.endswith(": kraxel")
        assert PRICE_DISAGREEMENTS.labels("kraxel")._value.get() > 10
        # Of two that have a token both are far: nobody knows which one lies.
        others = PRICE_DISAGREEMENTS.labels("stxtools")._value.get()
        assert others < PRICE_DISAGREEMENTS.labels("kraxel")._value.get()
        assert PRICE_SPREAD._value.get() > 900_000
        await ingest.admin.heal()
        await eventually(lambda: "prices" not in ingest.health.report().warnings)


async def test_prices_of_one_source_alone_are_counted_as_unchecked(
    tmp_path: Path,
) -> None:
    async with ingesting(tmp_path, price_sources=("kraxel",)) as ingest:
        await ingest.seen.next(PriceObserved)
        assert PRICE_UNCHECKED._value.get() > 10


def _sources(seen: Sequence[object]) -> int:
    return len({one.source for one in seen if isinstance(one, PriceObserved)})
