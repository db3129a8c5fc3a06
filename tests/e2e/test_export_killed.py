"""An export killed again and again has every record once, for a query engine to count."""

import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from app.topics import apply
from benchmarks.market import observations
from eventlog.port import Entry, Partition
from schemas.topics import CHANGES, PRICES_RAW
from tests.support.audited import observations as small_history
from tests.support.folded import WANTED, fold
from tests.support.logs import PARTITIONS, Place, now_ms, open_at, read_one
from tests.support.places import KINDS, fresh_place
from tests.support.processes import run, running, until
from tests.support.shared_data import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

KILLS = 3
# So many a partition that writing a part takes longer than looking for it.
_A_PART = 8_000
_DAYS = ("2020-01-01", "2100-01-01")


@pytest.fixture(params=KINDS)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return fresh_place(request, tmp_path)


@pytest.fixture
async def place(empty: Place) -> Place:
    """A log with some folded history, and many prices that nobody has read yet."""
    async with open_at(empty) as log:
        await apply(log, WANTED, new_id="0123456789abcdef" * 2, now_ms=now_ms)
        await fold(log, list(small_history()))
        for some in _batches():
            for shard in range(PARTITIONS):
                await log.append(PRICES_RAW, [(shard, entry) for entry in some])
    return empty


def _batches() -> Iterator[list[Entry]]:
    said = observations(_A_PART, tokens=20)
    while some := [Entry(key, value) for key, value in islice(said, 2_000)]:
        yield some


def command(place: Place, what: str) -> tuple[list[str], dict[str, object]]:
    """Return what exports ``what`` of a log, and the settings that name it."""
    is_kafka = place.kind == "kafka"
    settings: dict[str, object] = {
        "log": f"kafka://{place.address}" if is_kafka else place.address,
        "environment": "development",
        **({"log_prefix": place.prefix} if is_kafka else {}),
    }
    arguments = ["audit", "export", *_DAYS, "--what", what, "--out", "out", "--json"]
    return arguments, settings


async def test_an_export_that_is_killed_goes_on_and_has_every_record_once(
    place: Place, tmp_path: Path
) -> None:
    duckdb: Any = pytest.importorskip("duckdb", reason="pip install duckdb")
    pytest.importorskip("pyarrow", reason="pip install 'stacks-feed[parquet]'")
    out = tmp_path / "out"
    arguments, settings = command(place, "observations")
    killed = 0
    for finished in range(KILLS):
        async with running(*arguments, cwd=tmp_path, **settings) as process:

            def is_amid(least: int = finished, process: Any = process) -> bool:
                in_work = any(out.rglob("*.unfinished"))
                is_far = len(parts_in(out)) >= least
                return process.returncode is not None or (in_work and is_far)

            await until("a part is being written", is_amid)
            if process.returncode is None:
                process.kill()
                await process.wait()
            killed += process.returncode != 0
    before = parts_in(out)
    assert killed
    assert before
    last = await run(*arguments, cwd=tmp_path, **settings)
    assert last.code == 0, last.err
    assert json.loads(last.out)["finished"] == len(before)
    assert not any(out.rglob("*.unfinished"))
    check(duckdb, out)


def parts_in(out: Path) -> dict[str, object]:
    """Return the parts that the manifest says are finished."""
    manifest = out / "manifest.json"
    parts: dict[str, object] = {}
    if manifest.exists():
        parts = json.loads(manifest.read_bytes())["parts"]
    return parts


def check(duckdb: Any, out: Path) -> None:
    """Count by SQL, and compare with what was appended."""
    parts = f"read_parquet('{out}/observations/*/*.parquet', hive_partitioning = true)"
    with duckdb.connect() as db:
        (count, places), *_ = db.execute(
            f'SELECT count(*), count(DISTINCT (topic, shard, "offset")) FROM {parts}'  # noqa: S608 - our own path
        ).fetchall()
        (sold, total), *_ = db.execute(
            f"SELECT count(*), sum(usd_decimal) FROM {parts} WHERE source = 'kraxel'"  # noqa: S608 - our own path
        ).fetchall()
    said = [json.loads(value) for _, value in observations(_A_PART, tokens=20)]
    kraxel = [Decimal(one["usd"]) for one in said if one["source"] == "kraxel"]
    assert count == places == PARTITIONS * _A_PART + len(list(small_history()))
    assert (sold, total) == (PARTITIONS * len(kraxel), PARTITIONS * sum(kraxel))


async def test_the_query_of_the_manual_is_answered(
    place: Place, tmp_path: Path
) -> None:
    duckdb: Any = pytest.importorskip("duckdb", reason="pip install duckdb")
    pytest.importorskip("pyarrow", reason="pip install 'stacks-feed[parquet]'")
    arguments, settings = command(place, "changes")
    ended = await run(*arguments, cwd=tmp_path, **settings)
    assert ended.code == 0, ended.err
    found: dict[str, list[Decimal]] = {}
    for day in (tmp_path / "out/changes").iterdir():
        query = in_the_manual(tmp_path / "out", day.name.removeprefix("day="))
        with duckdb.connect() as db:
            for contract, lowest, highest, count in db.execute(query).fetchall():
                found.setdefault(contract, []).extend((lowest, highest, count))
    async with open_at(place) as log:
        changes = [
            json.loads(record.value or b"")
            for shard in range(PARTITIONS)
            for record in await read_one(log, Partition(CHANGES, shard))
            if (record.key or b"").startswith(b"price:")
        ]
    assert found.keys() == {change["contractId"] for change in changes}
    for contract, row in found.items():
        usd = [Decimal(c["usd"]) for c in changes if c["contractId"] == contract]
        assert row == [min(usd), max(usd), len(usd)]


def in_the_manual(out: Path, day: str) -> str:
    """Return the query that `docs/audit.md` has, of a folder and a day."""
    text = (ROOT / "docs/audit.md").read_text()
    query = text.partition("```sql\n")[2].partition("```")[0]
    return query.replace("history/", f"{out}/").replace("2026-11-24", day)
