"""A file of rows in each format: whole, or not there."""

import csv
import importlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from audit.core.columns import Column, Kind
from audit.errors import NoParquet
from audit.parts import FORMATS, open_part

COLUMNS = (
    Column("name", Kind.TEXT),
    Column("count", Kind.NUMBER),
    Column("at", Kind.TIME),
    Column("amount", Kind.AMOUNT),
    Column("usd", Kind.PRICE),
)
ROWS = [
    ("a,\n", 1, 1_000, f"{2**128 - 1}", "0.000000000000000001"),
    (None, None, None, None, None),
    ("c", 3, 0, "5", "1.5"),
]


def written(path: Path, suffix: str) -> Path:
    target = path / "new" / f"part.{suffix}"
    with open_part(target, COLUMNS, suffix=suffix) as write:
        write(ROWS[:2])
        write(ROWS[2:])
    assert [each.name for each in target.parent.iterdir()] == [target.name]
    return target


def test_csv_has_a_header_and_exact_texts(tmp_path: Path) -> None:
    with written(tmp_path, "csv").open(newline="") as opened:
        header, first, second, _ = csv.reader(opened)
    assert header == [column.name for column in COLUMNS]
    assert first == [str(value) for value in ROWS[0]]
    assert second == [""] * 5


def test_json_lines_are_an_object_a_row(tmp_path: Path) -> None:
    lines = written(tmp_path, "jsonl").read_text().splitlines()
    assert [tuple(json.loads(line).values()) for line in lines] == ROWS


def test_parquet_has_decimals_where_they_fit(tmp_path: Path) -> None:
    reason = "needs the extra: pip install 'stacks-feed[parquet]'"
    parquet: Any = pytest.importorskip("pyarrow.parquet", reason=reason)
    table = parquet.read_table(written(tmp_path, "parquet")).to_pydict()
    assert table["amount"] == [ROWS[0][3], None, "5"]
    assert table["amount_decimal"] == [None, None, Decimal(5)]
    assert table["usd_decimal"] == [Decimal("1e-18"), None, Decimal("1.5")]
    assert table["at"][0].timestamp() == 1
    assert table["count"] == [1, None, 3]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_part_that_is_not_finished_is_not_there(tmp_path: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="needs the extra `parquet`")

    def fail() -> None:
        with open_part(tmp_path / "part", COLUMNS, suffix=suffix) as write:
            write(ROWS)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_it_is_said_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with (
        pytest.raises(NoParquet, match="stacks-feed"),
        open_part(tmp_path / "part", COLUMNS, suffix="parquet"),
    ):
        pass
