"""An export goes on where it ended, and never has a record twice."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.topics import read_identity
from audit.errors import WrongFolder
from audit.export import MANIFEST, ExportConfig, Exported, export
from eventlog.port import Entry, EventLog, Partition
from schemas.log import LogIdentity
from schemas.topics import CHANGES, DAY_MS, JOURNAL, PRICES_RAW, RAW
from tests.support.folded import a_folded_file
from tests.support.logs import PARTITIONS, Place, now_ms, open_at, read_all

TOPICS = {"observations": RAW, "changes": (CHANGES,), "journal": (JOURNAL,)}


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[EventLog]:
    place = Place("sqlite", str(a_folded_file(tmp_path / "log.sqlite")))
    async with open_at(place) as opened:
        yield opened


def config(tmp_path: Path, what: str = "changes") -> ExportConfig:
    end_ms = now_ms() + 100 * DAY_MS
    return ExportConfig(what, 0, end_ms, "jsonl", tmp_path / "out")


async def exported(log: EventLog, config: ExportConfig) -> Exported:
    return await export(log, await identity_of(log), config)


async def identity_of(log: EventLog) -> LogIdentity:
    identity = await read_identity(log)
    assert identity is not None
    return identity


async def in_log(log: EventLog, what: str) -> list[tuple[str, int, int]]:
    at = [Partition(t, n) for t in TOPICS[what] for n in range(PARTITIONS)]
    found = await read_all(log, at)
    return sorted((*p, r.offset) for p, records in found.items() for r in records)


def in_files(tmp_path: Path) -> list[tuple[str, int, int]]:
    lines = [
        json.loads(line)
        for path in (tmp_path / "out").rglob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    return sorted((row["topic"], row["shard"], row["offset"]) for row in lines)


@pytest.mark.parametrize("what", TOPICS)
async def test_every_record_is_in_one_part(
    log: EventLog, tmp_path: Path, what: str
) -> None:
    first = await exported(log, config(tmp_path, what))
    expected = await in_log(log, what)
    assert in_files(tmp_path) == expected
    assert first.rows == len(expected)
    again = await exported(log, config(tmp_path, what))
    assert again == Exported(0, first.written, 0)


async def test_what_is_missing_or_has_grown_is_written_again(
    log: EventLog, tmp_path: Path
) -> None:
    wanted = config(tmp_path, "observations")
    first = await exported(log, wanted)
    parts = sorted((tmp_path / "out").rglob("*.jsonl"))
    parts[0].unlink()
    parts[1].write_bytes(b"")
    assert (await exported(log, wanted)).written == 2
    await log.append(PRICES_RAW, [(1, Entry(b"a", b"b"))])
    grown = await exported(log, wanted)
    # A day later, the record is in a part of its own.
    assert grown.written == 1
    assert grown.finished >= first.written - 1
    assert in_files(tmp_path) == await in_log(log, "observations")


async def test_an_export_that_was_cut_off_goes_on(
    log: EventLog, tmp_path: Path
) -> None:
    class CutOff(Exception):
        pass

    def fail(_: int) -> None:
        if len(list((tmp_path / "out").rglob("*.jsonl"))) == 2:
            raise CutOff

    wanted = config(tmp_path, "observations")
    with pytest.raises(CutOff):
        await export(log, await identity_of(log), wanted, progress=fail)
    assert not list((tmp_path / "out").rglob("*.unfinished"))
    rest = await exported(log, wanted)
    assert rest.finished == 2
    assert in_files(tmp_path) == await in_log(log, "observations")


async def test_before_the_first_record_and_of_no_time_there_is_nothing(
    log: EventLog, tmp_path: Path
) -> None:
    wanted = config(tmp_path)
    for nothing in (
        replace(wanted, end_ms=DAY_MS),
        replace(wanted, start_ms=wanted.end_ms - 1),
    ):
        assert (await exported(log, nothing)).written == 0


@pytest.mark.parametrize("content", [b"nonsense", None])
async def test_the_folder_of_another_log_is_left_alone(
    log: EventLog, tmp_path: Path, content: bytes | None
) -> None:
    wanted = config(tmp_path)
    await exported(log, wanted)
    if content is not None:
        (wanted.folder / MANIFEST).write_bytes(content)
    other = (await identity_of(log)).model_copy(update={"id": "f" * 32})
    with pytest.raises(WrongFolder, match="another log"):
        await export(log, other, wanted)
