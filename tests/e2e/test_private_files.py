"""A log tells who watches whom: what commands write is for the eyes of their user alone."""

from pathlib import Path

import pytest

from tests.support.processes import run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

LINE = (
    '{"contractId":".stx","source":"internal","usd":"0.6","observedAt":1600000000000}\n'
)


async def test_log_history_index_and_exports_are_private(tmp_path: Path) -> None:
    given = tmp_path / "given.jsonl"
    given.write_text(LINE)
    for words in (
        "topics apply",
        "backfill given.jsonl",
        "audit index",
        "audit export 2000-01-01 2100-01-01 --what observations --out exported",
    ):
        ended = await run(*words.split(), cwd=tmp_path)
        assert ended.code == 0, ended.err
    written = everything_below(tmp_path) - {given}
    names = {path.name for path in written}
    assert {"stacks-feed.sqlite", "stacks-feed.sqlite.index"} <= names
    assert ".parquet" in {path.suffix for path in written}
    assert [f"{path}" for path in written if path.stat().st_mode & 0o077] == []


def everything_below(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))
