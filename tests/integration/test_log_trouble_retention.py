"""Retention and the processor: told while it comes near, exact when it has passed."""

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY

from audit.commits import open_commits
from audit.core.table import new_standing
from audit.core.verify import Verifier
from audit.snapshots import write_snapshot
from audit.verify import VerifyConfig, verify_shard
from eventlog.port import (
    Batches,
    Entry,
    EventLog,
    LogUnavailable,
    Partition,
    Reader,
    Record,
)
from processor.config import ProcessorConfig
from processor.core.generations import GENERATIONS
from processor.core.retention import Gap
from processor.retention import ObservationsLost, RetentionGuard
from processor.shard import Shard
from schemas.base import encode
from schemas.topics import JOURNAL, PRICES_RAW, RAW, SNAPSHOTS
from tests.support.clock import ManualClock
from tests.support.folding import ALPHA, price
from tests.support.forgetful_log import KEPT_MS, Forgetful, forgetful
from tests.support.logs import LONG_S, Place, next_records, now_ms, read_one
from tests.support.places import KINDS, fresh_place
from tests.support.troubled import Troubled

SHARD = 1
INPUT = Partition(PRICES_RAW, SHARD)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return fresh_place(request, tmp_path)


@pytest.fixture
async def world(place: Place) -> AsyncIterator[Forgetful]:
    async with forgetful(place) as opened:
        yield opened


async def say(log: EventLog, count: int) -> int:
    """Append prices, each later than all before; return the end."""
    (start,) = (await log.ends([INPUT])).values()
    entries = [
        (SHARD, Entry(ALPHA.encode(), encode(price(f"{at + 1}", at=at))))
        for at in range(start, start + count)
    ]
    await log.append(PRICES_RAW, entries)
    return start + count


@asynccontextmanager
async def serving(log: EventLog, *accepted: str) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        running = group.create_task(served(log, *accepted))
        yield
        running.cancel()


async def served(log: EventLog, *accepted: str) -> None:
    config = ProcessorConfig("one", accept_loss=frozenset(accepted))
    await Shard(log, SHARD, config=config, clock=ManualClock()).run()


async def folded(log: EventLog, end: int) -> Mapping[str, Any]:
    """Wait until the shard has folded its prices up to ``end``; return that range."""
    journal = Partition(JOURNAL, SHARD)
    stretch: Mapping[str, Any] = {"end": None}
    start = await log.oldest([journal])
    async with asyncio.timeout(LONG_S), log.reader(start) as reader:
        while stretch["end"] != end:
            for record in await next_records(reader, journal):
                stretch = prices_of(record)
    return stretch


def prices_of(commit: Record) -> Mapping[str, Any]:
    stretch: Mapping[str, Any] = json.loads(commit.value or b"")["inputs"][PRICES_RAW]
    return stretch


async def the_loss(log: EventLog, *accepted: str) -> ObservationsLost:
    """Run the shard until it stops by itself."""
    with pytest.raises(ObservationsLost) as stopped:
        async with asyncio.timeout(LONG_S):
            await served(log, *accepted)
    return stopped.value


async def test_a_shard_that_retention_passed_does_not_start_and_names_the_gap(
    world: Forgetful, caplog: pytest.LogCaptureFixture
) -> None:
    log = world.log
    async with serving(log):
        await folded(log, await say(log, 3))
    await say(log, 4)
    await world.forget(INPUT)
    for accepted in ((), ("prices.raw[1]@2", "prices.raw[0]@3")):
        error = await the_loss(log, *accepted)
        assert error.gap == Gap(PRICES_RAW, SHARD, first=3, last=6)
        assert (
            "prices.raw[1]: offsets 3 to 6 (4 observations) were deleted" in f"{error}"
        )
        assert "STACKS_FEED_ACCEPT_LOSS=prices.raw[1]@3" in f"{error}"
    # What is accepted by its name is passed over, and the journal shows it.
    async with serving(log, "prices.raw[1]@3"):
        assert (await folded(log, await say(log, 1)))["start"] == 7
    (lost,) = (r for r in caplog.records if "lost" in r.message)
    assert (lost.__dict__["first"], lost.__dict__["last"]) == (3, 6)
    # Who has gone on needs the setting no longer.
    async with serving(log):
        assert (await folded(log, await say(log, 1)))["start"] == 8


class HeldLog:
    """A log whose readers of the shard's inputs are as slow as the test likes."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.reads, self.waits = asyncio.Event(), asyncio.Event()
        self.reads.set()

    async def waited_for(self) -> None:
        """Return when a reader waits to be let."""
        self.waits.clear()
        await self.waits.wait()

    def as_log(self) -> EventLog:
        return cast("EventLog", self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    @asynccontextmanager
    async def reader(self, positions: Mapping[Partition, int]) -> AsyncIterator[Reader]:
        async with self._log.reader(positions) as reader:
            its_own = positions.keys() == {Partition(topic, SHARD) for topic in RAW}
            yield cast("Reader", _HeldReader(reader, self)) if its_own else reader


class _HeldReader:
    def __init__(self, reader: Reader, log: HeldLog) -> None:
        self._reader, self._log = reader, log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    async def read(self, *, max_records: int, wait_s: float) -> Batches:
        if not self._log.reads.is_set():
            self._log.waits.set()
        await self._log.reads.wait()
        return await self._reader.read(max_records=max_records, wait_s=0.05)


async def test_a_shard_that_retention_overtakes_stops_and_names_the_gap(
    tmp_path: Path,
) -> None:
    # On a broker the driver has read ahead what this test lets be deleted.
    place = Place("sqlite", str(tmp_path / "log.sqlite"))
    async with forgetful(place) as world:
        with pytest.raises(ExceptionGroup) as stopped:
            await overtaken(world, HeldLog(world.log))
    (error,) = stopped.value.exceptions
    assert isinstance(error, ObservationsLost)
    assert error.gap == Gap(PRICES_RAW, SHARD, first=3, last=6)


async def overtaken(world: Forgetful, held: HeldLog) -> None:
    """Serve, and let retention take what the shard is kept from reading."""
    log = world.log
    async with asyncio.timeout(LONG_S), serving(held.as_log()):
        await folded(log, await say(log, 3))
        held.reads.clear()
        await held.waited_for()
        await say(log, 4)
        await world.forget(INPUT)
        held.reads.set()
        await asyncio.Event().wait()


def margin(kind: str, topic: str = PRICES_RAW) -> float | None:
    labels = {"topic": topic, "shard": f"{SHARD}"}
    return REGISTRY.get_sample_value(f"stacks_feed_{kind}", labels)


@asynccontextmanager
async def guarding(
    log: EventLog, clock: ManualClock, *, prices: int
) -> AsyncIterator[None]:
    """Guard a shard that stands at ``prices``; go on when it has looked once."""
    config = ProcessorConfig("one", retention_check_s=10)
    guard = RetentionGuard(SHARD, log, config=config, clock=clock)
    stands = dict.fromkeys(RAW, 0) | {PRICES_RAW: prices}
    async with asyncio.TaskGroup() as group:
        running = group.create_task(guard.run(lambda: stands))
        await clock.until_asleep()
        yield
        running.cancel()


@pytest.fixture
async def in_a_file(tmp_path: Path) -> AsyncIterator[Forgetful]:
    async with forgetful(Place("sqlite", str(tmp_path / "log.sqlite"))) as opened:
        yield opened


async def test_on_a_file_what_waits_ages_by_what_the_log_takes_not_by_a_clock(
    in_a_file: Forgetful, caplog: pytest.LogCaptureFixture
) -> None:
    world, clock = in_a_file, ManualClock()
    await say(world.log, 5)
    async with guarding(world.log, clock, prices=3):
        assert margin("waiting_records") == 2
        assert margin("retention_margin_records") == 3
        assert margin("retention_margin_seconds") == KEPT_MS / 1_000
        assert margin("retention_margin_seconds", RAW[1]) == math.inf
        clock.step_wall_clock(100 * KEPT_MS)
        for _ in range(22):
            world.an_hour_later()
            await say(world.log, 1)
        assert caplog.records == []
        await clock.advance(10)
        await clock.until_asleep()
        assert margin("retention_margin_seconds") == 7_200
    (said,) = caplog.records
    assert (said.levelno, said.message) == (logging.WARNING, "retention comes near")
    assert said.__dict__["topic"] == PRICES_RAW
    assert said.__dict__["waiting"] == 24
    assert said.__dict__["deleted_in_s"] == 7_200


@pytest.mark.parametrize("place", KINDS[1:], indirect=True)
async def test_what_waits_and_how_long_it_stands_is_told_until_the_shard_is_given_up(
    world: Forgetful, caplog: pytest.LogCaptureFixture
) -> None:
    await say(world.log, 5)
    records = await read_one(world.log, INPUT)
    clock = ManualClock(records[3].time_ms + KEPT_MS // 2)
    async with guarding(world.log, clock, prices=3):
        assert margin("waiting_records") == 2
        assert margin("retention_margin_records") == 3
        assert margin("retention_margin_seconds") == KEPT_MS / 2_000
        assert margin("retention_margin_seconds", RAW[1]) == math.inf
        assert caplog.records == []
        # The last tenth of the time begins.
        clock.step_wall_clock(KEPT_MS * 2 // 5 + 1_000)
        await clock.advance(10)
        await clock.until_asleep()
    (said,) = caplog.records
    assert (said.levelno, said.message) == (logging.WARNING, "retention comes near")
    assert said.__dict__["topic"] == PRICES_RAW
    assert said.__dict__["waiting"] == 2
    assert said.__dict__["deleted_in_s"] == KEPT_MS // 10_000 - 11
    assert margin("retention_margin_seconds") is None


async def test_a_log_that_cannot_say_it_now_is_asked_again(world: Forgetful) -> None:
    await say(world.log, 1)
    away = LogUnavailable("the test", why="it says so")
    troubled = Troubled(world.log, describe=[away])
    clock = ManualClock()
    async with guarding(troubled.as_log(), clock, prices=1):
        assert margin("waiting_records") is None
        await clock.advance(10)
        await clock.until_asleep()
        assert margin("waiting_records") == 0


# ---- the beginning of history


def lines_of(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.message == event]


async def test_history_without_a_snapshot_is_told_before_retention_takes_its_beginning(
    in_a_file: Forgetful, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "processor.retention")
    world, clock = in_a_file, ManualClock()
    log = world.log
    async with serving(log):
        await folded(log, await say(log, 3))
        for _ in range(22):
            world.an_hour_later()
            await folded(log, await say(log, 1))
    async with guarding(log, clock, prices=25):
        assert margin_of_history() == 7_200
        (line,) = lines_of(caplog, "history loses its beginning")
        assert (line["topic"], line["shard"]) == (PRICES_RAW, SHARD)
        assert (line["snapshot"], line["deleted_in_s"]) == (None, 7_200)
        # A snapshot is another beginning; one that is not finished yet is none.
        report = await verify_shard(log, SHARD, config=VerifyConfig())
        await log.append(SNAPSHOTS, [(SHARD, Entry(b"1", b'{"part":0,"x"'))])
        await clock.advance(10)
        await clock.until_asleep()
        assert margin_of_history() == 7_200
        await a_snapshot(log, commit=report.last)
        await log.append(SNAPSHOTS, [(SHARD, Entry(b"1", b'{"part":0,"x"'))])
        await clock.advance(10)
        await clock.until_asleep()
        assert margin_of_history() == math.inf
    assert len(lines_of(caplog, "history loses its beginning")) == 1
    assert len(lines_of(caplog, "history has a beginning")) == 1
    assert margin_of_history() is None


async def test_a_beginning_that_is_lost_is_told(
    world: Forgetful, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock(now_ms())
    async with serving(world.log):
        await folded(world.log, await say(world.log, 3))
    await world.forget(INPUT)
    async with guarding(world.log, clock, prices=3):
        assert margin_of_history() == -1
    (line,) = lines_of(caplog, "history loses its beginning")
    assert (line["topic"], line["deleted_in_s"]) == (PRICES_RAW, 0)


async def test_what_was_deleted_before_anybody_read_it_is_no_loss_of_history(
    world: Forgetful, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock(now_ms())
    await say(world.log, 3)
    await world.forget(INPUT)
    async with guarding(world.log, clock, prices=3):
        assert margin_of_history() == math.inf
    async with serving(world.log):
        await folded(world.log, await say(world.log, 1))
    async with guarding(world.log, clock, prices=4):
        assert (margin_of_history() or 0) > 0
    assert lines_of(caplog, "history loses its beginning") == []


def margin_of_history() -> float | None:
    labels = {"shard": f"{SHARD}"}
    return REGISTRY.get_sample_value("stacks_feed_snapshot_margin_seconds", labels)


async def a_snapshot(log: EventLog, *, commit: int) -> None:
    """Verify up to a commit, and write down what the shard holds then."""
    verifier = Verifier(new_standing(SHARD), GENERATIONS)
    async with open_commits(log, SHARD) as commits:
        while verifier.commit < commit:
            read = await commits.next(wait_s=LONG_S)
            assert read is not None
            verifier.check(read)
        places = commits.places
    await write_snapshot(
        log, verifier.standing, places, generation=1, snapshot_id="a" * 32
    )
