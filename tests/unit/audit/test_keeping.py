"""The index is kept as the log grows; what is in the way is said once."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from audit.index import open_index
from audit.keeping import EVERY_S, keep_index
from eventlog.port import LogUnavailable, Partition
from schemas.topics import CHANGES
from tests.support.audited import SHARD, Writing, a_history, observations
from tests.support.clock import ManualClock
from tests.support.list_log import ListLog
from tests.support.tasks import beside
from tests.unit.audit.test_as_of import IDENTITY


def indexed(path: Path) -> int:
    if not path.exists():
        return 0
    with open_index(path, log_id=IDENTITY.id) as index:
        return index.next_of(CHANGES, SHARD)[0]


async def test_what_comes_is_indexed_every_half_minute(tmp_path: Path) -> None:
    log, clock, path = ListLog(SHARD + 1), ManualClock(), tmp_path / "index"
    writing = Writing(log)
    async with beside(keep_index(log.as_log(), IDENTITY, path, clock)):
        for event in list(observations())[:3]:
            await clock.until_asleep()
            writing.observe([event])
            writing.fold()
            await clock.advance(EVERY_S)
            await clock.until_asleep()
            assert indexed(path) == log.end(Partition(CHANGES, SHARD))


async def test_what_is_in_the_way_is_said_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Away(ListLog):
        away = True

        async def oldest(
            self, partitions: Sequence[Partition]
        ) -> Mapping[Partition, int]:
            if self.away:
                raise LogUnavailable("here", why="away")
            return await super().oldest(partitions)

    caplog.set_level(logging.INFO)
    log, clock, path = Away(SHARD + 1), ManualClock(), tmp_path / "index"
    log.records = a_history().records
    async with beside(keep_index(log.as_log(), IDENTITY, path, clock)):
        for away in (True, False, True):
            await clock.until_asleep()
            log.away = away
            await clock.advance(EVERY_S)
        await clock.until_asleep()
    assert indexed(path) == log.end(Partition(CHANGES, SHARD))
    said = [r.message for r in caplog.records]
    trouble = "index not extended"
    assert said == [trouble, "index extended again", trouble]


async def test_a_file_that_cannot_be_written_is_said_to_be_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    (tmp_path / "file").write_text("no folder")
    clock, path = ManualClock(), tmp_path / "file" / "index"
    async with beside(keep_index(a_history().as_log(), IDENTITY, path, clock)):
        await clock.until_asleep()
    assert [r.message for r in caplog.records] == ["index not extended"]
