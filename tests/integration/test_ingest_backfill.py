"""Backfill: files of history into the raw topics of a log."""

import importlib.util
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from eventlog.port import EventLog
from ingest.backfill import BackfillRefused, BackfillReport, backfill
from schemas.balances import SubnetRead
from schemas.base import encode
from schemas.ids import ContractId, UserId
from schemas.prices import PriceObserved
from tests.support.ingesting import PARTITIONS, Seen, a_log, put

A = ContractId("SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS.a")
B = ContractId("SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS.b")
ANN = UserId("SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS")
HEADER = "contractId,source,usd,observedAt,sequence\n"


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[EventLog]:
    async with a_log(tmp_path) as opened:
        yield opened


def price(moment: int, *, contract: ContractId = A, source: str = "x") -> bytes:
    return encode(
        PriceObserved(contract_id=contract, source=source, usd="1", observed_at=moment)
    )


def file(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


async def fill(log: EventLog, *files: Path) -> BackfillReport:
    return await backfill(log, files, partitions=PARTITIONS)


async def in_log(log: EventLog, count: int) -> Seen:
    seen = Seen(log)
    await seen.until(lambda found: len(found) >= count)
    return seen


async def test_lines_of_all_files_are_merged_by_their_moments(
    log: EventLog, tmp_path: Path
) -> None:
    one = file(tmp_path, "one.jsonl", price(1) + b"\n" + price(4))
    two = file(tmp_path, "two.csv", f"{HEADER}{A},x,2,2,\n{A},x,3.0,3,7\n")
    report = await fill(log, one, two)
    assert (report.lines, report.written, report.bad, report.refused) == (4, 4, 0, 0)
    seen = await in_log(log, 4)
    assert [found.observed_at for found in seen.of(PriceObserved)] == [1, 2, 3, 4]
    assert [found.sequence for found in seen.of(PriceObserved)] == [0, 0, 7, 0]
    assert [found.usd for found in seen.of(PriceObserved)] == ["1", "2", "3", "1"]


async def test_a_reading_is_written_byte_for_byte(
    log: EventLog, tmp_path: Path
) -> None:
    read = SubnetRead(
        user_id=ANN, subnet_id=A, base_id=B, source="x", observed_at=1, balance="5"
    )
    spaced = encode(read).replace(b",", b", ")
    await fill(log, file(tmp_path, "one.ndjson", spaced + b"\n"))
    assert (await in_log(log, 1)).values == [spaced]


async def test_bad_lines_are_reported_by_file_and_line_and_cost_nothing_else(
    log: EventLog, tmp_path: Path
) -> None:
    lines = b"\n".join([price(1), b"{", b"", b"x" * 2_000_000, price(2), b"\xff"])
    one = file(tmp_path, "one.jsonl", lines)
    two = file(tmp_path, "two.csv", f'{HEADER}{A},x,0,3,\n{A},x\n\n{A},x,1,4,0\n"\0')
    report = await fill(log, one, two)
    assert report.written == 3
    where = {str(bad).rpartition("/")[2].split(": ")[0] for bad in report.bad_lines}
    assert {"one.jsonl:2", "one.jsonl:4", "one.jsonl:6"} <= where
    assert {"two.csv:2", "two.csv:3"} <= where
    assert report.bad == len(report.bad_lines)
    assert report.lines == report.written + report.bad


async def test_keys_with_newer_observations_are_refused_whole(
    log: EventLog, tmp_path: Path
) -> None:
    await put(log, "prices.raw", A.encode(), price(100))
    await put(log, "prices.raw", B.encode(), b"not an observation")
    lines = [price(99), price(99, contract=B), price(101), price(101, contract=B)]
    report = await fill(log, file(tmp_path, "one.jsonl", b"\n".join(lines)))
    assert (report.written, report.refused) == (2, 2)
    assert report.refused_keys == [("prices.raw", A)]


async def test_the_same_files_again_are_refused(log: EventLog, tmp_path: Path) -> None:
    one = file(tmp_path, "one.jsonl", price(1) + b"\n" + price(2))
    await fill(log, one)
    assert (await fill(log, one)).written == 0


async def test_many_lines_go_in_as_many_appends_with_progress(
    log: EventLog, tmp_path: Path
) -> None:
    lines = "".join(f"{A},x,1,{moment},0\n" for moment in range(12_000))
    path = file(tmp_path, "one.csv", HEADER + lines)
    shown: list[tuple[str, int, int]] = []
    report = await backfill(
        log,
        [path],
        partitions=PARTITIONS,
        progress=lambda what, done, total: shown.append((what, done, total)),
    )
    assert report.written == 12_000
    size = path.stat().st_size
    written = [row for row in shown if row[0] == "write"]
    assert written[-1] == ("write", size, size)
    assert len(written) == 3
    await backfill(
        log, [path], partitions=PARTITIONS, progress=lambda *row: shown.append(row)
    )
    scanned = [row for row in shown if row[0] == "scan"]
    assert scanned[-1][1] == scanned[-1][2] >= 12_000


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("one.txt", "", "none of .jsonl"),
        ("one", "", "no suffix"),
        ("one.csv", "contractId,source,usd\n", "observedAt is missing"),
        ("one.csv", "", "contractId is missing"),
    ],
)
async def test_a_file_that_cannot_be_used_stops_it_before_anything_is_written(
    log: EventLog, tmp_path: Path, name: str, content: str, why: str
) -> None:
    good = file(tmp_path, "good.jsonl", price(1))
    bad = file(tmp_path, name, content)
    with pytest.raises(BackfillRefused, match=why):
        await fill(log, good, bad)
    assert (await fill(log, good)).written == 1


async def test_a_file_that_is_not_there_is_refused(
    log: EventLog, tmp_path: Path
) -> None:
    with pytest.raises(BackfillRefused, match="no such file"):
        await fill(log, tmp_path / "none.jsonl")


@pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is not None, reason="pyarrow is installed"
)
async def test_without_the_extra_parquet_is_refused_with_what_to_do(
    log: EventLog, tmp_path: Path
) -> None:
    with pytest.raises(BackfillRefused, match=r"pip install 'stacks-feed\[parquet\]'"):
        await fill(log, file(tmp_path, "one.parquet", b"PAR1"))


async def test_parquet_is_read_like_csv(log: EventLog, tmp_path: Path) -> None:
    parquet: Any = pytest.importorskip(
        "pyarrow.parquet", reason="needs the extra: pip install 'stacks-feed[parquet]'"
    )
    pyarrow: Any = pytest.importorskip("pyarrow")
    rows = {
        "contractId": [A, A, "x"],
        "source": ["x", "x", "x"],
        "usd": [0.1, 2.5, 1.0],
        "observedAt": [1, 2, 3],
        "more": [json.dumps({}), "", ""],
    }
    parquet.write_table(pyarrow.table(rows), tmp_path / "one.parquet")
    report = await fill(log, tmp_path / "one.parquet")
    assert (report.written, report.bad) == (2, 1)
    seen = await in_log(log, 2)
    assert [found.usd for found in seen.of(PriceObserved)] == ["0.1", "2.5"]
    with pytest.raises(BackfillRefused, match="not a Parquet file"):
        await fill(log, file(tmp_path, "two.parquet", b"PAR1"))
