"""Commits to a SQLite log that stops half-way, or has lost what was committed."""

from pathlib import Path

import pytest

from eventlog.port import LogRewound, LogUnavailable
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
from tests.support.sqlite_logs import cut_back


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


async def test_a_writer_does_not_go_on_where_its_records_were_lost(
    tmp_path: Path,
) -> None:
    config = SqliteConfig(tmp_path / "log", now_ms=now_ms)
    async with open_sqlite(config) as log:
        await log.create(TOPICS)
        async with log.own(0) as writer:
            part = [entry("a"), entry("b")]
            await writer.commit({RAW.name: part, TABLE.name: part})
            cut_back(config.path, raw(0), records=1)
            with pytest.raises(LogRewound, match=r"raw\[0\] ends at 1, .* up to 2"):
                await writer.commit({TABLE.name: part, RAW.name: part})
            with pytest.raises(LogUnavailable, match="acquire it anew"):
                await writer.commit({TABLE.name: part})
        assert texts(await read_one(log, raw(0))) == ["a"]
        assert texts(await read_one(log, table(0))) == ["a", "b"]
        async with log.own(0) as writer:
            await writer.commit({RAW.name: part})
