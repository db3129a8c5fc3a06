"""One file of an export: rows in, and the file is there whole or not at all."""

import csv
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import orjson

from audit.core.columns import DIGITS, PRICE_PLACES, Column, Kind, Row, decimal_of
from audit.errors import NoParquet


class Rows(Protocol):
    """Takes rows, all of the same columns."""

    def __call__(self, rows: Sequence[Row]) -> None:
        """Write the next rows."""
        ...


_Opened: TypeAlias = "Callable[[Path, Sequence[Column]], Any]"


@contextmanager
def open_part(path: Path, columns: Sequence[Column], *, suffix: str) -> Iterator[Rows]:
    """Write a part; on leaving well it stands at ``path``, else there is nothing.

    ``suffix`` is that of the format: ``parquet``, ``csv`` or ``jsonl``. Raises
    ``NoParquet``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with _FORMATS[suffix](unfinished, columns) as rows:
            yield rows
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


# ---- text


@contextmanager
def _csv(path: Path, columns: Sequence[Column]) -> Iterator[Rows]:
    with path.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow([column.name for column in columns])
        yield writer.writerows


@contextmanager
def _json_lines(path: Path, columns: Sequence[Column]) -> Iterator[Rows]:
    names = [column.name for column in columns]
    with path.open("wb") as opened:

        def write(rows: Sequence[Row]) -> None:
            for row in rows:
                line = orjson.dumps(dict(zip(names, row, strict=True)))
                opened.write(line + b"\n")

        yield write


# ---- Parquet


@contextmanager
def _parquet(path: Path, columns: Sequence[Column]) -> Iterator[Rows]:
    try:
        arrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise NoParquet from None
    schema = arrow.schema(list(_fields(arrow, columns)))
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        yield partial(_write_table, arrow, writer, schema, columns)


def _fields(arrow: Any, columns: Sequence[Column]) -> Iterator[tuple[str, Any]]:
    types: Mapping[Kind, Any] = {
        Kind.NUMBER: arrow.int64(),
        Kind.TIME: arrow.timestamp("ms", tz="UTC"),
    }
    decimals = {Kind.AMOUNT: 0, Kind.PRICE: PRICE_PLACES}
    for name, kind in columns:
        yield name, types.get(kind, arrow.string())
        if kind in decimals:
            yield f"{name}_decimal", arrow.decimal128(DIGITS, decimals[kind])


def _write_table(
    arrow: Any,
    writer: Any,
    schema: Any,
    columns: Sequence[Column],
    rows: Sequence[Row],
) -> None:
    values: list[Any] = []
    for index, column in enumerate(columns):
        held = [row[index] for row in rows]
        values.append(held)
        if column.kind in {Kind.AMOUNT, Kind.PRICE}:
            values.append([decimal_of(text, column.kind) for text in held])
    arrays = [
        arrow.array(held, type=field.type)
        for held, field in zip(values, schema, strict=True)
    ]
    writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))


_FORMATS: Mapping[str, _Opened] = {
    "csv": _csv,
    "jsonl": _json_lines,
    "parquet": _parquet,
}
FORMATS = tuple(_FORMATS)
