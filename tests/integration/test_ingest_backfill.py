"""Backfill: files of history into the raw topics of a log."""

import asyncio
import csv
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from audit.export import ExportConfig, export
from audit.verify import VerifyConfig, verify_shard
from eventlog.port import (
    MAX_RECORD_BYTES,
    Entry,
    EventLog,
    Partition,
    RecordTooLarge,
    record_bytes,
)
from ingest import backfill as backfill_module
from ingest.backfill import BackfillRefused, BackfillReport, BackfillStopped, planned
from ingest.core import history_plan
from ingest.core.history_rows import EARLIEST_MS, TimeUnit
from ingest.spool import Spool
from schemas.balances import AccountRead, Holding, SubnetRead
from schemas.base import encode
from schemas.ids import ContractId, UserId
from schemas.log import LogIdentity, World
from schemas.prices import PriceObserved
from schemas.topics import CHANGES, DAY_MS, PRICES_RAW, RAW
from tests.support.audited import observations
from tests.support.backfilling import backfill, config_of
from tests.support.folded import WANTED, fold
from tests.support.logs import PARTITIONS, Place, now_ms, open_at, read_all
from tests.support.pipeline import TOPICS, follow_progress, shard_of
from tests.support.places import KINDS, fresh_place
from tests.support.processor_process import serve

ANN = UserId("SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS")
A, B = ContractId(f"{ANN}.a"), ContractId(f"{ANN}.b")
OF_TESTNET = ContractId("ST24RDNDBQ7NVQ3431XANDY0G1E7NSJG0RCCD4WRZ.a")
HEADER = ("contractId", "source", "usd", "observedAt")
AT = 1_606_780_800_000
Row = tuple[str, str, str, str | int]


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return fresh_place(request, tmp_path)


@pytest.fixture
async def log(place: Place) -> AsyncIterator[EventLog]:
    async with open_at(place) as opened:
        await opened.create(TOPICS)
        yield opened


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[EventLog]:
    """A log of the one kind, for what does not depend on it."""
    place = Place("sqlite", f"{tmp_path / 'log.sqlite'}")
    async with open_at(place) as opened:
        await opened.create(TOPICS)
        yield opened


def rows(count: int = 40, *, contract: str = A) -> list[Row]:
    return [(contract, "x", f"0.{2_001 + n}", AT + 60_000 * n) for n in range(count)]


def table(path: Path, found: Iterable[Sequence[Any]], head: Any = HEADER) -> Path:
    with path.open("w", newline="") as opened:
        csv.writer(opened).writerows([head, *found])
    return path


def price(moment: int, *, contract: ContractId = A, source: str = "x") -> bytes:
    seen = PriceObserved(
        contract_id=contract, source=source, usd="1", observed_at=AT + moment
    )
    return encode(seen)


def lines(path: Path, *found: bytes) -> Path:
    path.write_bytes(b"\n".join(found))
    return path


async def put(log: EventLog, key: str, value: bytes) -> None:
    await log.append(PRICES_RAW, [(shard_of(key.encode()), Entry(key.encode(), value))])


async def fill(log: EventLog, *files: Path, **config: Any) -> BackfillReport:
    return await backfill(log, files, config_of(PARTITIONS, **config))


async def raw(log: EventLog) -> dict[str, list[bytes]]:
    """Return the values of each key in the raw topics, in the order of the log."""
    found = await read_all(
        log, [Partition(t, n) for t in RAW for n in range(PARTITIONS)]
    )
    values: dict[str, list[bytes]] = {}
    for at, records in found.items():
        for record in records:
            assert shard_of(record.key) == at.number
            key = (record.key or b"").decode()
            values.setdefault(key, []).append(record.value or b"")
    return values


async def moments(log: EventLog, key: str = A) -> list[int]:
    return [json.loads(value)["observedAt"] for value in (await raw(log)).get(key, ())]


def whys(report: BackfillReport) -> list[str]:
    return [
        f"{Path(file.name).name}:{each.line}: {each.first.reason}: {each.first.value}"
        for file in report.files
        for each in file.refused
    ]


# ---- order


async def test_rows_of_all_files_are_written_in_the_order_of_their_moments(
    log: EventLog, tmp_path: Path
) -> None:
    one = lines(tmp_path / "one.jsonl", price(1), price(4))
    two = table(tmp_path / "two.csv", [(A, "x", "2", AT + 2), (A, "x", "3.0", AT + 3)])
    report = await fill(log, one, two)
    assert (report.lines, report.written, report.bad, report.refused) == (4, 4, 0, 0)
    found = [json.loads(value) for value in (await raw(log))[A]]
    assert [each["observedAt"] - AT for each in found] == [1, 2, 3, 4]
    assert [each["usd"] for each in found] == ["1", "2", "3", "1"]


async def test_ties_go_by_sequence_then_by_file_and_line(
    sqlite: EventLog, tmp_path: Path
) -> None:
    head = (*HEADER, "sequence")
    one = table(
        tmp_path / "one.csv", [(A, "x", "1", AT, 1), (A, "x", "2", AT, 0)], head
    )
    two = table(
        tmp_path / "two.csv", [(A, "y", "3", AT, 0), (A, "y", "4", AT, "")], head
    )
    await fill(sqlite, one, two)
    found = [json.loads(value)["usd"] for value in (await raw(sqlite))[A]]
    assert found == ["2", "3", "4", "1"]


async def test_a_file_with_the_newest_line_first_is_written_whole_and_in_order(
    sqlite: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So little room that it takes many temporary files.
    monkeypatch.setattr(
        backfill_module, "Spool", lambda: Spool(run_bytes=50_000, merged_at_once=4)
    )
    report = await fill(sqlite, table(tmp_path / "a.csv", rows(12_000)[::-1]))
    assert (report.written, report.bad) == (12_000, 0)
    assert await moments(sqlite) == [AT + 60_000 * n for n in range(12_000)]


async def test_a_reading_is_written_byte_for_byte(
    log: EventLog, tmp_path: Path
) -> None:
    seen = SubnetRead(
        user_id=ANN, subnet_id=A, base_id=B, source="x", observed_at=AT, balance="5"
    )
    spaced = encode(seen).replace(b",", b", ")
    await fill(log, lines(tmp_path / "one.ndjson", spaced + b"\n"))
    assert await raw(log) == {ANN: [spaced]}


# ---- what is bad keeps everything from being written


@pytest.mark.parametrize(
    ("per_ms", "unit", "looks_like"),
    [
        (1_000, TimeUnit.MICROSECONDS, "microseconds"),
        (1_000_000, TimeUnit.NANOSECONDS, "nanoseconds"),
        (0.001, TimeUnit.SECONDS, "seconds"),
    ],
)
async def test_times_in_another_unit_are_refused_by_its_name(
    sqlite: EventLog, tmp_path: Path, per_ms: float, unit: TimeUnit, looks_like: str
) -> None:
    changed = [(*row[:3], round(int(row[3]) * per_ms)) for row in rows()]
    path = table(tmp_path / "a.csv", changed)
    report = await fill(sqlite, path, skip_bad=True)
    assert (report.written, report.bad) == (0, 40)
    (why,) = whys(report)
    said = f"observedAt looks like {looks_like}, not milliseconds: {changed[0][3]}"
    assert why == f"a.csv:2: {said}"
    assert await raw(sqlite) == {}
    for named in (unit, None):
        async with planned(sqlite, [path], config_of(PARTITIONS, unit=named)) as plan:
            assert not plan.is_blocked
            assert plan.report.files[0].unit is unit
    await fill(sqlite, path, unit=unit)
    assert await moments(sqlite) == [int(row[3]) for row in rows()]


@pytest.mark.parametrize("unit", [TimeUnit.MILLISECONDS, None])
async def test_a_unit_that_changes_in_the_middle_is_refused(
    sqlite: EventLog, tmp_path: Path, unit: TimeUnit | None
) -> None:
    found = [
        (*row[:3], int(row[3]) * (1_000 if n >= 20 else 1))
        for n, row in enumerate(rows())
    ]
    report = await fill(
        sqlite, table(tmp_path / "a.csv", found), unit=unit, skip_bad=True
    )
    assert (report.written, report.bad) == (0, 20)
    said = f"observedAt looks like microseconds, not milliseconds: {found[20][3]}"
    assert whys(report) == [f"a.csv:22: {said}"]
    assert await raw(sqlite) == {}


async def test_each_file_may_have_its_own_unit(
    sqlite: EventLog, tmp_path: Path
) -> None:
    one = table(tmp_path / "one.csv", rows(2))
    two = table(tmp_path / "two.csv", [(B, "x", "1", AT // 1_000)])
    await fill(sqlite, one, two, unit=None)
    assert await moments(sqlite, B) == [AT]


async def test_with_a_bad_line_nothing_is_written_unless_it_may_be_left_out(
    log: EventLog, tmp_path: Path
) -> None:
    gap = [(*row[:2], "" if n == 7 else row[2], row[3]) for n, row in enumerate(rows())]
    path = table(tmp_path / "gap.csv", gap)
    report = await fill(log, path)
    assert (report.written, report.bad, report.to_write) == (0, 1, 39)
    assert whys(report) == ["gap.csv:9: usd is not a price: nothing"]
    assert await raw(log) == {}
    report = await fill(log, table(path, rows()))
    assert (report.written, report.bad) == (40, 0)
    assert len(await moments(log)) == 40


async def test_bad_lines_may_be_left_out(sqlite: EventLog, tmp_path: Path) -> None:
    found = lines(tmp_path / "a.jsonl", price(1), b"{", b"", b"\xff", price(2))
    report = await fill(sqlite, found, skip_bad=True)
    assert (report.lines, report.written, report.bad) == (4, 2, 2)
    assert len(await moments(sqlite)) == 2


async def test_a_plan_with_bad_lines_cannot_be_carried_out(
    sqlite: EventLog, tmp_path: Path
) -> None:
    path = lines(tmp_path / "a.jsonl", price(1), b"{")
    async with planned(sqlite, [path], config_of(PARTITIONS)) as plan:
        with pytest.raises(BackfillRefused, match="nothing was written"):
            await plan.write()
    assert await raw(sqlite) == {}


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
async def test_ids_of_another_network_are_bad(
    log: EventLog, tmp_path: Path, suffix: str
) -> None:
    if suffix == "csv":
        path = table(tmp_path / "a.csv", rows(3, contract=OF_TESTNET))
        line = 2
    else:
        path = lines(tmp_path / "a.jsonl", price(1, contract=OF_TESTNET))
        line = 1
    report = await fill(log, path)
    assert whys(report) == [f"a.{suffix}:{line}: not an id of mainnet: '{OF_TESTNET}'"]
    assert await raw(log) == {}


@pytest.mark.parametrize("at", [EARLIEST_MS - 1, 0, None, 2**53 - 1])
async def test_times_before_2009_and_after_now_are_bad(
    sqlite: EventLog, tmp_path: Path, at: int | None
) -> None:
    at = now_ms() + 120_000 if at is None else at
    seen = PriceObserved(contract_id=A, source="x", usd="1", observed_at=at)
    one = lines(tmp_path / "a.jsonl", encode(seen))
    two = table(tmp_path / "b.csv", [(A, "x", "1", at)])
    report = await fill(sqlite, one, two)
    assert (report.written, report.bad) == (0, 2)


def reading_of(size: int) -> bytes:
    """Return a reading whose record counts ``size`` bytes for the limit."""
    holding = Holding(contract_id=A, balance="1", asset="")
    seen = AccountRead(
        user_id=ANN, source="x", observed_at=AT, holdings=(), others=(holding,) * 240
    )
    value = encode(seen)
    missing = size - record_bytes(Entry(ANN.encode(), value))
    each, rest = divmod(missing, 240)
    for length in (*[each] * 239, each + rest):
        value = value.replace(b'"asset":""', b'"asset":"%s"' % (b"a" * length), 1)
    return value


async def test_a_record_that_no_log_takes_is_a_bad_line_and_the_largest_is_none(
    log: EventLog, tmp_path: Path
) -> None:
    around = [price(n) for n in range(200)]
    large = reading_of(MAX_RECORD_BYTES)
    path = lines(tmp_path / "a.jsonl", *around[:100], large[:-1] + b" }", *around[100:])
    report = await fill(log, path)
    (why,) = whys(report)
    assert why.startswith(
        "a.jsonl:101: larger than the 1,048,576 bytes that a log takes"
    )
    assert await raw(log) == {}
    await fill(log, lines(path, *around[:100], large, *around[100:]))
    found = await raw(log)
    assert (len(found[A]), found[ANN]) == (200, [large])


async def test_a_record_above_the_limit_of_its_own_topic_stops_it_in_one_line(
    sqlite: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> None:
        raise RecordTooLarge(PRICES_RAW, size_bytes=2_000, limit_bytes=1_000)

    path = table(tmp_path / "a.csv", rows())
    async with planned(sqlite, [path], config_of(PARTITIONS)) as plan:
        monkeypatch.setattr(sqlite, "append", refuse)
        with pytest.raises(BackfillStopped, match=r"raise its max\.message\.bytes"):
            await plan.write()
        assert plan.report.written == 0


# ---- what the log has already


async def test_a_run_that_was_cut_short_is_gone_on_with(
    log: EventLog, tmp_path: Path
) -> None:
    path = table(tmp_path / "a.csv", [*rows(30), *rows(30, contract=B)])
    first = rows()[:11]
    await fill(log, table(tmp_path / "first.csv", first))
    report = await fill(log, path)
    assert (report.in_log, report.to_write, report.written) == (11, 49, 49)
    for key in (A, B):
        assert await moments(log, key) == [AT + 60_000 * n for n in range(30)]
    again = await fill(log, path)
    assert (again.in_log, again.written, again.refused) == (60, 0, 0)


async def test_a_longer_file_goes_on_where_the_shorter_one_ended(
    sqlite: EventLog, tmp_path: Path
) -> None:
    for count in (10, 25, 40):
        report = await fill(sqlite, table(tmp_path / "a.csv", rows(count)))
    assert (report.in_log, report.written) == (25, 15)
    assert await moments(sqlite) == [AT + 60_000 * n for n in range(40)]


async def test_keys_with_newer_observations_are_refused_whole_before_anything_is_written(
    log: EventLog, tmp_path: Path
) -> None:
    await put(log, A, price(100))
    await put(log, B, b"not an observation")
    path = lines(
        tmp_path / "one.jsonl",
        *(price(99), price(99, contract=B), price(101), price(101, contract=B)),
    )
    async with planned(log, [path], config_of(PARTITIONS)) as plan:
        report = plan.report
        assert (report.to_write, report.refused) == (2, 2)
        (key,) = report.refused_keys
        assert key == (PRICES_RAW, A, AT + 99, AT + 100)
        await plan.write()
    assert await moments(log, A) == [AT + 100]
    assert (await raw(log))[B][1:] == [price(99, contract=B), price(101, contract=B)]


async def test_a_corrected_line_is_not_taken_for_one_that_was_written(
    sqlite: EventLog, tmp_path: Path
) -> None:
    gap = [row for n, row in enumerate(rows()) if n != 7]
    await fill(sqlite, table(tmp_path / "a.csv", gap))
    report = await fill(sqlite, table(tmp_path / "a.csv", rows()))
    assert (report.in_log, report.written, report.refused) == (0, 0, 40)


# ---- files that cannot be used at all


async def test_one_unusable_file_keeps_all_from_being_written(
    sqlite: EventLog, tmp_path: Path
) -> None:
    good = lines(tmp_path / "good.jsonl", price(1))
    empty = lines(tmp_path / "b.csv")
    loop = tmp_path / "loop.csv"
    loop.symlink_to(loop)
    for bad, why in (
        (tmp_path / "none.csv", "no such file"),
        (loop, "is a link to itself"),
        (tmp_path / f"{'a' * 300}.csv", "File name too long"),
        (tmp_path, "is a folder that holds no export"),
        (empty, "is empty"),
    ):
        with pytest.raises(BackfillRefused, match=why) as caught:
            await fill(sqlite, good, bad)
        assert f"{caught.value}".startswith(f"{bad}: ")
    assert await raw(sqlite) == {}


async def test_a_file_that_is_named_twice_is_refused(
    sqlite: EventLog, tmp_path: Path
) -> None:
    good = lines(tmp_path / "good.jsonl", price(1))
    with pytest.raises(BackfillRefused, match="is named twice"):
        await fill(sqlite, good, tmp_path / "." / "good.jsonl")


async def test_more_keys_than_fit_are_refused(
    sqlite: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_plan, "MAX_KEYS", 1)
    path = lines(tmp_path / "a.jsonl", price(1), price(1, contract=B))
    with pytest.raises(BackfillRefused, match="more than 1 tokens and users"):
        await fill(sqlite, path)


async def test_without_room_for_sorting_it_is_said_where_to_find_some(
    sqlite: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Spool, "add", full)
    with pytest.raises(BackfillRefused, match=r"No space left on device; TMPDIR names"):
        await fill(sqlite, table(tmp_path / "a.csv", rows()))


async def test_progress_is_told_of_each_phase(sqlite: EventLog, tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", rows(12_000))
    shown: list[tuple[str, int, int]] = []

    def show(*row: Any) -> None:
        shown.append(row)

    await backfill(sqlite, [path], config_of(PARTITIONS), progress=show)
    size = path.stat().st_size
    assert [row for row in shown if row[0] == "read"][-1] == ("read", size, size)
    written = [row[1:] for row in shown if row[0] == "write"]
    assert written == [(5_000, 12_000), (10_000, 12_000), (12_000, 12_000)]
    assert ("sort", 10_000, 12_000) in shown
    await backfill(sqlite, [path], config_of(PARTITIONS), progress=show)
    scanned = [row for row in shown if row[0] == "scan"]
    assert scanned[-1][1] == scanned[-1][2] >= 12_000


# ---- exports


@asynccontextmanager
async def a_folded_log(place: Place) -> AsyncIterator[EventLog]:
    async with open_at(place) as log:
        await log.create(TOPICS)
        await fold(log, list(observations()))
        yield log


def identity(partitions: int = PARTITIONS) -> LogIdentity:
    return LogIdentity(
        id="0" * 32,
        network=WANTED.network,
        world=World.SIMULATED,
        partitions=partitions,
        created_at=0,
    )


async def exported(log: EventLog, folder: Path, suffix: str) -> None:
    end_ms = now_ms() + DAY_MS
    await export(
        log, identity(), ExportConfig("observations", 0, end_ms, suffix, folder)
    )


async def published(log: EventLog) -> dict[str, list[Any]]:
    """Return all values of each key without what names places in them."""
    at = [Partition(CHANGES, shard) for shard in range(PARTITIONS)]
    found: dict[str, list[Any]] = {}
    for records in (await read_all(log, at)).values():
        for record in records:
            value = json.loads(record.value) if record.value else {}
            value.pop("origins", None)
            found.setdefault((record.key or b"").decode(), []).append(value)
    return found


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
async def test_an_export_is_read_back_into_another_log_that_verifies(
    log: EventLog, tmp_path: Path, suffix: str
) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="pip install 'stacks-feed[parquet]'")
    out = tmp_path / "out"
    async with a_folded_log(Place("sqlite", f"{tmp_path / 'old.sqlite'}")) as old:
        await exported(old, out, suffix)
        expected = await published(old)
    report = await fill(log, out)
    assert (report.bad, report.refused) == (0, 0)
    assert report.written == report.lines - report.left_out > 0
    async with follow_progress(log) as progress, asyncio.TaskGroup() as group:
        service = group.create_task(serve(log, "one"), name="processor")
        at = [Partition(t, n) for t in RAW for n in range(PARTITIONS)]
        ends = {p: end for p, end in (await log.ends(at)).items() if end}
        await progress.reached({(p.topic, p.number): end for p, end in ends.items()})
        service.cancel()
    assert await published(log) == expected
    for shard in range(PARTITIONS):
        verified = await verify_shard(log, shard, config=VerifyConfig())
        assert verified.difference is None


async def test_a_folder_stands_for_the_observations_in_all_its_formats(
    sqlite: EventLog, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    async with a_folded_log(Place("sqlite", f"{tmp_path / 'old.sqlite'}")) as old:
        await exported(old, out, "csv")
        await exported(old, out, "jsonl")
    report = await fill(sqlite, out)
    # Each record is there twice, and written once.
    assert report.repeated == report.written > 0
    again = await fill(sqlite, *sorted(out.rglob("*.csv")))
    assert (again.repeated, again.in_log, again.written) == (0, report.written, 0)


async def test_records_of_two_logs_at_one_offset_are_refused(
    sqlite: EventLog, tmp_path: Path
) -> None:
    cells = {"topic": PRICES_RAW, "shard": 0, "offset": 5, "key": A, "appended_at": AT}
    files = [
        lines(
            tmp_path / f"{n}.jsonl",
            json.dumps({**cells, "value": price(n).decode()}).encode(),
        )
        for n in range(2)
    ]
    with pytest.raises(
        BackfillRefused, match=r"0\.jsonl:1: another record than .*1\.jsonl:1"
    ):
        await fill(sqlite, *files)
    with pytest.raises(BackfillRefused, match="read back without other files"):
        await fill(sqlite, files[0], lines(tmp_path / "x.jsonl", price(1)))


async def test_an_export_of_something_else_says_what_can_be_read_back(
    sqlite: EventLog, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    async with a_folded_log(Place("sqlite", f"{tmp_path / 'old.sqlite'}")) as old:
        config = ExportConfig("changes", 0, now_ms() + DAY_MS, "csv", out)
        await export(old, identity(), config)
    with pytest.raises(BackfillRefused, match="holds no observations; `audit export"):
        await fill(sqlite, out)
    report = await fill(sqlite, *out.rglob("*.csv"), skip_bad=True)
    assert report.fatal == report.lines
    assert "not a record of a raw topic: 'changes'" in whys(report)[0]
    assert await raw(sqlite) == {}


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        ("nonsense", "is not the manifest of an export"),
        ('{"parts":{"observations/x.csv":{"sizeBytes":1}}}', "export it again"),
        ('{"parts":[]}', "holds no observations"),
        ('{"parts":{"observations/x.csv":[]}}', "is not the manifest of an export"),
    ],
    ids=range(4),
)
async def test_an_export_that_is_not_whole_is_refused(
    sqlite: EventLog, tmp_path: Path, manifest: str, why: str
) -> None:
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(BackfillRefused, match=why):
        await fill(sqlite, tmp_path)
