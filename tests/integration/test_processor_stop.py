"""A shard that is asked to stop just when its log fails it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from eventlog.port import Entry, EventLog, Fenced, LogError, LogUnavailable, ShardWriter
from processor.config import ProcessorConfig
from processor.shard import Shard
from runtime.clock import SystemClock
from schemas.base import encode
from schemas.topics import JOURNAL, PRICES_RAW
from tests.support.folding import ALPHA, price
from tests.support.logs import LONG_S, Place, open_at
from tests.support.pipeline import TOPICS

SHARD = 1


class FailingLog:
    """A real log whose first commit of a fold fails; ``failing`` is called just then."""

    def __init__(self, log: EventLog, error: LogError) -> None:
        self._log, self._error = log, error
        self.failing: Callable[[], object] = lambda: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    @asynccontextmanager
    async def own(self, shard: int) -> AsyncIterator[ShardWriter]:
        async with self._log.own(shard) as writer:
            yield cast("ShardWriter", _Writer(writer, self))

    def fail(self) -> None:
        self.failing()
        raise self._error


class _Writer:
    def __init__(self, writer: ShardWriter, log: FailingLog) -> None:
        self._writer, self._log = writer, log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    async def commit(self, entries: Mapping[str, Sequence[Entry]]) -> None:
        if JOURNAL in entries:
            self._log.fail()
        await self._writer.commit(entries)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Fenced(SHARD), id="another owner came"),
        pytest.param(LogUnavailable("here", why="the test"), id="the log is away"),
    ],
)
async def test_a_shard_asked_to_stop_in_its_failure_stops(
    error: LogError, tmp_path: Path
) -> None:
    async with open_at(Place("sqlite", str(tmp_path / "log.sqlite"))) as log:
        await log.create(TOPICS)
        said = Entry(ALPHA.encode(), encode(price("1", at=1)))
        await log.append(PRICES_RAW, [(SHARD, said)])
        failing = FailingLog(log, error)
        shard = Shard(
            cast("EventLog", failing),
            SHARD,
            config=ProcessorConfig("one"),
            clock=SystemClock(),
        )
        async with asyncio.TaskGroup() as group, asyncio.timeout(LONG_S):
            running = group.create_task(shard.run(), name="shard")
            loop = asyncio.get_running_loop()
            # After the error was raised, while what belongs to the shard is ended.
            failing.failing = lambda: loop.call_soon(running.cancel)
            await asyncio.wait([running])
        assert running.cancelled()
