"""The writer: durable on return, bounded, and patient with a log that is away."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from eventlog.port import Cleanup, EventLog, TopicSpec, UnknownTopic
from eventlog.sqlite import SqliteConfig, open_sqlite
from ingest.config import IngestConfig
from ingest.core.history import past_of
from ingest.writer import Observed, Writer
from runtime.clock import SystemClock
from schemas.ids import ContractId
from schemas.prices import PriceObserved
from schemas.topics import TOPICS
from tests.support.ingesting import LONG_S, PARTITIONS, Seen, no_jitter

A = ContractId("SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS.a")


def price(moment: int, topic: str | None = None) -> Observed:
    past = past_of(
        PriceObserved(contract_id=A, source="x", usd="1", observed_at=moment)
    )
    return Observed(topic or past.topic, past.key, past.value, "price")


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[EventLog]:
    """A log that says soon that it is not available."""
    place = tmp_path / "log.sqlite"
    config = SqliteConfig(place, now_ms=SystemClock().now_ms, busy_s=0.05)
    async with open_sqlite(config) as opened:
        keep = Cleanup(compact=False, retention_ms=None)
        await opened.create([TopicSpec(t.name, PARTITIONS, keep) for t in TOPICS])
        yield opened


@asynccontextmanager
async def writing(log: EventLog, *, limit: int = 100) -> AsyncIterator[Writer]:
    writer = Writer(
        log,
        IngestConfig("test", buffer_records=limit, batch_records=10),
        partitions=PARTITIONS,
        clock=SystemClock(),
        draw=no_jitter,
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(writer.run())
        yield writer
        await writer.close()


@contextmanager
def away(folder: Path) -> Iterator[None]:
    """Hold the log's file, as a stuck process would, so that nobody can write."""
    holder = sqlite3.connect(folder / "log.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


async def until(writer: Writer, *, stalled: bool) -> None:
    async with asyncio.timeout(LONG_S):
        while (writer.stalled is not None) is not stalled:  # noqa: ASYNC110 - readiness is asked, it does not tell
            await asyncio.sleep(0)


async def test_what_was_written_is_in_the_log(log: EventLog) -> None:
    async with writing(log) as writer:
        await writer.write([])
        await writer.write([price(1), price(2)])
        seen = Seen(log)
        await seen.until(lambda found: len(found) == 2)


async def test_many_who_write_are_served_together_and_in_order(log: EventLog) -> None:
    async with writing(log) as writer, asyncio.TaskGroup() as group:
        for moment in range(50):
            group.create_task(writer.write([price(moment)]))
    seen = Seen(log)
    await seen.until(lambda found: len(found) == 50)
    assert [one.observed_at for one in seen.of(PriceObserved)] == list(range(50))


async def test_while_the_log_is_away_writers_wait_and_then_go_on(
    log: EventLog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "ingest.writer")
    async with writing(log, limit=2) as writer, asyncio.TaskGroup() as group:
        with away(tmp_path):
            tasks = [group.create_task(writer.write([price(n)])) for n in range(4)]
            await until(writer, stalled=True)
            assert not any(task.done() for task in tasks)
        await until(writer, stalled=False)
    said = [record.message for record in caplog.records]
    assert said == ["log unavailable, readings wait", "log is back, readings go on"]
    seen = Seen(log)
    await seen.until(lambda found: len({one.observed_at for one in found}) == 4)


async def test_who_gave_up_does_not_stop_the_others(
    log: EventLog, tmp_path: Path
) -> None:
    async with writing(log) as writer, asyncio.TaskGroup() as group:
        with away(tmp_path):
            first = group.create_task(writer.write([price(1)]))
            await until(writer, stalled=True)
            first.cancel()
        await writer.write([price(2)])


async def test_a_topic_that_is_not_there_stops_it_loudly(log: EventLog) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with writing(log) as writer:
            await writer.write([price(1, topic="nowhere")])
    assert caught.group_contains(UnknownTopic)
