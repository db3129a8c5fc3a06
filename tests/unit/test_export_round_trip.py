"""What an export holds, read back into another log, derives the same values."""

import asyncio
import importlib.util
import json
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from audit.core.columns import TABLES
from audit.parts import FORMATS, open_part
from eventlog.partition import partition_of
from eventlog.port import Partition
from schemas.topics import CHANGES, RAW, partition_key
from tests.support.audited import Writing, observations
from tests.support.backfilling import backfill, config_of
from tests.support.list_log import ListLog
from tests.support.worlds import APPENDED_MS, Entry, accounts, entries

HAS_ARROW = importlib.util.find_spec("pyarrow") is not None
FORMATS_HERE = [each for each in FORMATS if each != "parquet" or HAS_ARROW]
Values = dict[str, list[Any]]

garbage = st.sampled_from(
    [
        ("prices.raw", b"a", None),
        ("prices.raw", None, b"{}"),
        ("tokens.raw", b"\xff", b"\xff\xfe"),
        ("balances.raw", b"a", b'"\x00,\r\n"'),
    ]
)
histories = st.tuples(st.one_of(entries(), accounts()), st.lists(garbage, max_size=3))


def a_log(history: list[Entry], partitions: int) -> ListLog:
    log = ListLog(partitions)
    for topic, key, value in history:
        shard = partition_of(partition_key(key or b""), partitions)
        log.put(topic, shard, [(key, value, ())], time_ms=APPENDED_MS)
    return log


def exported(log: ListLog, folder: Path, suffix: str) -> list[Path]:
    """Write a file for each partition, as an export does."""
    table, files = TABLES["observations"], []
    for at, records in log.records.items():
        if at.topic in RAW and records:
            files.append(folder / f"part-{at.topic}-{at.number}.{suffix}")
            with open_part(files[-1], table.columns, suffix=suffix) as write:
                write([table.row(at.topic, at.number, record) for record in records])
    return files


def published(log: ListLog) -> Values:
    """Fold a log; return all values of each key without what names places in it."""
    found: Values = defaultdict(list)
    for shard in range(log.partitions):
        Writing(log, shard=shard).fold()
        for record in log.records.get(Partition(CHANGES, shard), ()):
            value = json.loads(record.value) if record.value else {}
            value.pop("origins", None)
            found[(record.key or b"").decode()].append(value)
    return found


@given(
    histories,
    st.sampled_from(FORMATS_HERE),
    st.integers(1, 5),
    st.integers(1, 5),
)
@example((list(observations()), []), "csv", 1, 4)
@example((list(observations()), []), "jsonl", 3, 2)
def test_an_export_that_is_read_back_derives_the_same_values(
    history: tuple[list[Entry], list[Entry]], suffix: str, old: int, new: int
) -> None:
    sound, strange = history
    log = a_log([*strange, *sound], old)
    other = ListLog(new)
    with TemporaryDirectory() as folder:
        files = exported(log, Path(folder), suffix)
        report = asyncio.run(backfill(other.as_log(), files, config_of(new)))
        again = asyncio.run(backfill(other.as_log(), files, config_of(new)))
    assert report.bad == report.refused == report.in_log == 0
    assert report.written + report.left_out == report.lines
    assert report.left_out >= len(strange)
    assert (again.written, again.in_log) == (0, report.written)
    assert published(other) == published(log)
