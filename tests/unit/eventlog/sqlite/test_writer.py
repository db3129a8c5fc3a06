"""A commit to a SQLite log that stops half-way: it holds others up until it is dead."""

from pathlib import Path

import pytest

from eventlog.port import LogUnavailable
from eventlog.sqlite import SqliteConfig, open_sqlite
from tests.support.log_process import process
from tests.support.logs import (
    RAW,
    TABLE,
    TOPICS,
    Place,
    append,
    entry,
    now_ms,
    raw,
    read_one,
    table,
    texts,
)


async def test_of_a_process_killed_half_way_through_a_commit_nothing_is_left(
    tmp_path: Path,
) -> None:
    config = SqliteConfig(tmp_path / "log", now_ms=now_ms, busy_s=0.01)
    async with open_sqlite(config) as log:
        await log.create(TOPICS)
        async with process(Place("sqlite", str(config.path)), "half", "lost") as other:
            assert await other.says() == "half"
            assert await read_one(log, raw(0)) == []
            with pytest.raises(LogUnavailable, match="another process"):
                await append(log, raw(1), "held up")
            await other.kill()
        async with log.own(0) as writer:
            assert await read_one(log, raw(0)) == []
            part = [entry("found")]
            await writer.commit({RAW.name: part, TABLE.name: part})
        assert texts(await read_one(log, raw(0))) == ["found"]
        assert texts(await read_one(log, table(0))) == ["found"]
