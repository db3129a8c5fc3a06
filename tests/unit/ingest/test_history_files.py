"""Files of history: every usual encoding, line end and format, and what is wrong with one."""

import codecs
import gzip
import importlib
import json
import struct
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingest.core.history_rows import (
    HistoryRow,
    RefusedRow,
    RowReader,
    RowRules,
    Severity,
    TimeUnit,
)
from ingest.history_files import FileUnusable, read_rows
from schemas.base import encode
from schemas.ids import ContractId, Network
from schemas.prices import PriceObserved

A = ContractId("SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS.a")
AT = 1_606_780_800_000
COLUMNS = ("contractId", "source", "usd", "observedAt")
NEEDS_PARQUET = "needs the extra: pip install 'stacks-feed[parquet]'"
OPEN_QUOTE = "a field in quotes goes on over other rows"
RULES = RowRules(Network.MAINNET, AT * 2)
Found = list[tuple[int, Any]]


def table(*usd: str, end: str = "\n", between: str = ",") -> str:
    rows = [(A, "x", price, f"{AT + n}") for n, price in enumerate(usd)]
    return "".join(between.join(row) + end for row in (COLUMNS, *rows))


def record(n: int) -> bytes:
    seen = PriceObserved(
        contract_id=A, source="x", usd=f"{n + 1}", observed_at=AT + n, sequence=0
    )
    return encode(seen)


def read(path: Path, **rules: Any) -> Found:
    """Return the lines of a file, each with the price in it or with what is wrong."""
    given = {"network": Network.MAINNET, "latest_ms": AT * 2, **rules}
    sizes: list[int] = []
    rows = read_rows(path, RowReader(RowRules(**given)), sizes.append)
    found = [(number, said(row)) for number, row in rows]
    assert sum(sizes) >= path.stat().st_size
    return found


def said(row: HistoryRow | RefusedRow) -> Any:
    return row.reason if isinstance(row, RefusedRow) else json.loads(row.value)["usd"]


def file(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# ---- text


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=ascii)
def test_lines_end_in_each_usual_way(tmp_path: Path, end: str) -> None:
    text = table("1", "2", end=end)
    assert read(file(tmp_path, "a.csv", text)) == [(2, "1"), (3, "2")]
    assert read(file(tmp_path, "b.csv", text.rstrip())) == [(2, "1"), (3, "2")]
    lines = end.encode().join(map(record, range(2)))
    assert read(file(tmp_path, "a.jsonl", lines)) == [(1, "1"), (2, "2")]


ENCODED: dict[str, Callable[[str], bytes]] = {
    "utf-8": str.encode,
    "utf-8 with a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16 of big ends": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "utf-16-le without a mark": lambda text: text.encode("utf-16-le"),
    "utf-16-be without a mark": lambda text: text.encode("utf-16-be"),
    "utf-32": lambda text: text.encode("utf-32"),
}


@pytest.mark.parametrize("encoded", ENCODED.values(), ids=ENCODED)
@pytest.mark.parametrize("packed", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("end", ["\n", "\r"], ids=ascii)
def test_texts_are_read_in_each_usual_encoding(
    tmp_path: Path,
    encoded: Callable[[str], bytes],
    packed: Callable[[bytes], bytes],
    end: str,
) -> None:
    suffix = ".gz" if packed is gzip.compress else ""
    content = packed(encoded(table("1", "2", end=end)))
    assert read(file(tmp_path, f"a.CSV{suffix}", content)) == [(2, "1"), (3, "2")]
    lines = end.join(record(n).decode() for n in range(2))
    content = packed(encoded(lines))
    assert read(file(tmp_path, f"a.ndjson{suffix}", content)) == [(1, "1"), (2, "2")]


def test_what_is_compressed_is_known_by_its_content(tmp_path: Path) -> None:
    content = gzip.compress(table("1").encode())
    assert read(file(tmp_path, "a.csv", content)) == [(2, "1")]
    assert read(file(tmp_path, "a.csv.gz", table("1"))) == [(2, "1")]


def test_a_line_that_is_not_utf_8_is_bad_and_no_other(tmp_path: Path) -> None:
    lines = b"\n".join([record(0), b"\xff\xfe", record(1)])
    found = read(file(tmp_path, "a.jsonl", lines))
    assert found == [(1, "1"), (2, "not an observation, at the whole line"), (3, "2")]
    # In a column that nobody reads it does not matter.
    named = (
        table("1").replace("observedAt", "observedAt,name").replace(f"{AT}", f"{AT},@")
    )
    content = named.encode().replace(b"@", b"\xe9")
    assert read(file(tmp_path, "a.csv", content)) == [(2, "1")]


def test_empty_lines_are_passed_over_and_counted(tmp_path: Path) -> None:
    text = "\n\n" + table("1", "2").replace("\n", "\n\n")
    assert read(file(tmp_path, "a.csv", text)) == [(5, "1"), (7, "2")]
    lines = b"\n\n" + record(0) + b"\n \n" + record(1) + b"\n\n"
    assert read(file(tmp_path, "a.jsonl", lines)) == [(3, "1"), (5, "2")]


def test_a_line_longer_than_any_record_is_bad_and_no_other(tmp_path: Path) -> None:
    long = "x" * 9_000_000
    why = "longer than any record"
    lines = b"\n".join([record(0), long.encode(), record(1)])
    found = read(file(tmp_path, "a.jsonl", lines))
    assert found == [(1, "1"), (2, why), (3, "2")]
    head, one, two = table("1", "2").splitlines()
    text = "\n".join([head, one, long, two, long])
    assert read(file(tmp_path, "a.csv", text)) == [
        (2, "1"),
        (3, why),
        (4, "2"),
        (5, why),
    ]


# ---- CSV


@pytest.mark.parametrize("between", [",", ";", "\t", "|", ", ", " ; "], ids=ascii)
def test_columns_may_stand_apart_in_each_usual_way(
    tmp_path: Path, between: str
) -> None:
    text = table("1", "2", between=between)
    assert read(file(tmp_path, "a.csv", text)) == [(2, "1"), (3, "2")]
    assert read(file(tmp_path, "a.tsv", text)) == [(2, "1"), (3, "2")]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (f'"{A}","x","1","{AT}"', "1"),
        (f'{A}, "x" ,1,{AT}', "1"),
        (f"{A},x,1,{AT},,", "1"),
        (f"{A},x,1,{AT}, ", "1"),
        (f"{A},x,1,{AT},more", "5 columns, the header has 4"),
        (f"{A},x,1", "3 columns, the header has 4"),
        ("x", "1 columns, the header has 4"),
        ("\0", "1 columns, the header has 4"),
    ],
    ids=range(8),
)
def test_a_row_may_be_quoted_and_end_in_empty_columns(
    tmp_path: Path, row: str, found: str
) -> None:
    text = f"{','.join(COLUMNS)}\n{row}\n"
    assert read(file(tmp_path, "a.csv", text)) == [(2, found)]


def test_other_columns_are_ignored_in_any_order(tmp_path: Path) -> None:
    text = f'usd,note,"observedAt",source,contractId,,\n1,"a,\n""b""",{AT},x,{A},,\n'
    assert read(file(tmp_path, "a.csv", text)) == [(3, "1")]


def test_a_quote_that_never_ends_costs_what_it_takes_and_not_the_memory(
    tmp_path: Path,
) -> None:
    many = f"{A},x,1,{AT}\n" * 60_000
    found = read(file(tmp_path, "a.csv", table("1") + f'{A},"x,1,{AT}\n' + many))
    assert found[0] == (2, "1")
    assert found[1][1] == OPEN_QUOTE
    assert found[-1] == (60_003, "1")


@pytest.mark.parametrize("end", ["", 'x"\n'], ids=["never", "at another quote"])
def test_rows_in_a_field_whose_quote_is_open_are_not_lost_in_silence(
    tmp_path: Path, end: str
) -> None:
    rows = [f"{A},x,{n},{AT + n}," for n in range(1, 5)]
    text = f'{",".join(COLUMNS)},note\n{rows[0]}a\n{rows[1]}"b\n{rows[2]}c\n{rows[3]}'
    path = file(tmp_path, "a.csv", f"{text}{end}")
    found = [row for _, row in read_rows(path, RowReader(RULES), lambda _: None)]
    assert [said(row) for row in found] == ["1", OPEN_QUOTE]
    # No other row of such a file may be written, not even where bad ones are left out.
    assert isinstance(found[1], RefusedRow)
    assert found[1].severity is Severity.FATAL


def test_a_header_longer_than_a_field_may_be_is_told(tmp_path: Path) -> None:
    text = f"{','.join(COLUMNS)},{'n' * 2_200_000}\n"
    with pytest.raises(
        FileUnusable, match=r"a\.csv: its header is no CSV: field larger"
    ):
        read(file(tmp_path, "a.csv", text))


# ---- exports


def test_an_export_in_csv_keeps_each_byte_of_a_value(tmp_path: Path) -> None:
    # As long as a value can be, and with blanks that are not ours to take away.
    value = b" " + record(0).replace(b",", b",\r\n ") + b" " * 1_000_000
    quoted = value.decode().replace('"', '""')
    head = "appended_at,topic,shard,offset,key,value,value_base64"
    text = f'{head}\r\n{AT},prices.raw,0,7,{A},"{quoted}",\r\n'
    path = file(tmp_path, "a.csv", text)
    reader = RowReader(RowRules(Network.MAINNET, AT * 2))
    ((_, row),) = read_rows(path, reader, lambda _: None)
    assert isinstance(row, HistoryRow)
    assert row.value == value


def test_an_export_in_json_lines_may_hold_a_record_of_the_largest_size(
    tmp_path: Path,
) -> None:
    value = record(0) + b" " * 1_000_000 + b"\n" * 40_000
    cells = {"topic": "prices.raw", "shard": 0, "offset": 1, "appended_at": AT}
    line = json.dumps({**cells, "key": A, "value": value.decode()})
    assert read(file(tmp_path, "a.jsonl", line)) == [(1, "1")]


# ---- files that cannot be used


def damaged_gzip() -> bytes:
    return gzip.compress(table(*map(str, range(1, 500))).encode())[:-9]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.txt", "", "does not end in one of .jsonl, .ndjson, .csv, .tsv, .parquet"),
        ("a", "", "does not end in one of .jsonl"),
        ("a.gz", "", "does not end in one of .jsonl"),
        ("a.csv", "", "is empty"),
        ("a.csv", codecs.BOM_UTF8, "is empty"),
        ("a.jsonl", "\n \n", "is empty"),
        ("a.csv", "contractId,source,usd\n", "lacks the column observedAt; it has"),
        (
            "a.csv",
            "a;b\n1;2\n",
            "lacks the columns contractId, source, usd, observedAt",
        ),
        ("a.csv", "usd,usd,contractId,source,observedAt\n", "usd more than once"),
        ("a.csv", b"PAR1", "is Parquet; its name must end in .parquet"),
        ("a.csv.gz", damaged_gzip(), "damaged, not a whole gzip file"),
        ("a.csv", codecs.BOM_UTF16_LE + b"a", "damaged, not UTF-16"),
        ("a.csv.gz", b"\x1f\x8b\x08" + b"x" * 50, "damaged, not a whole gzip file"),
    ],
    ids=range(13),
)
def test_a_file_that_cannot_be_used_is_one_line_that_begins_with_it(
    tmp_path: Path, name: str, content: bytes | str, why: str
) -> None:
    path = file(tmp_path, name, content)
    with pytest.raises(FileUnusable) as caught:
        read(path)
    text = f"{caught.value}"
    assert text.startswith(f"{path}: ")
    assert why in text
    assert "\n" not in text


def test_what_is_no_file_is_told_as_what_it_is(tmp_path: Path) -> None:
    for path, why in (
        (tmp_path, "is a folder that holds no export; name its files"),
        (tmp_path / "none.csv", "no such file"),
        (tmp_path / "none", "no such file"),
    ):
        with pytest.raises(FileUnusable, match=why):
            read(path)


def test_a_file_that_may_not_be_read_is_told_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(tmp_path, "a.csv", table("1"))

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(FileUnusable, match=r"a\.csv: Permission denied"):
        read(path)


# ---- Parquet


@pytest.fixture
def arrow() -> Any:
    pytest.importorskip("pyarrow.parquet", reason=NEEDS_PARQUET)
    return importlib.import_module("pyarrow")


def parquet(folder: Path, columns: dict[str, Any]) -> Path:
    arrow, writer = map(importlib.import_module, ("pyarrow", "pyarrow.parquet"))
    count = len(next(iter(columns.values())))
    usual = {
        "contractId": [A] * count,
        "source": ["x"] * count,
        "usd": ["1"] * count,
        "observedAt": list(range(AT, AT + count)),
    }
    path = folder / "a.parquet"
    writer.write_table(arrow.table({**usual, **columns}), path)
    return path


def test_rows_of_parquet_are_counted_from_one_and_others_ignored(
    tmp_path: Path, arrow: Any
) -> None:
    path = parquet(tmp_path, {"usd": ["1", "x", None], "note": [[1], None, [2, 3]]})
    why = "usd is not a price"
    assert read(path) == [(1, "1"), (2, why), (3, why)]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_columns_of_times_are_times_whatever_their_unit_and_zone(
    tmp_path: Path, arrow: Any, unit: str, zone: str | None
) -> None:
    each = {"s": AT // 1_000, "ms": AT, "us": AT * 1_000, "ns": AT * 10**6 + 999}[unit]
    times = arrow.array([each, None], arrow.timestamp(unit, tz=zone))
    path = parquet(tmp_path, {"observedAt": times})
    reader = RowReader(RowRules(Network.MAINNET, AT * 2, unit=TimeUnit.SECONDS))
    one, two = (row for _, row in read_rows(path, reader, lambda _: None))
    assert isinstance(one, HistoryRow)
    assert one.observed_at == AT
    assert isinstance(two, RefusedRow)


def test_prices_in_columns_of_each_type_are_what_was_meant(
    tmp_path: Path, arrow: Any
) -> None:
    decimals = [Decimal("0.2426"), Decimal(1000)]
    for values, kind, meant in (
        ([0.2426, 1000.0], arrow.float64(), ["0.2426", "1000"]),
        ([0.2426, 1000.0], arrow.float32(), ["0.2426", "1000"]),
        ([0.25, 1000.0], arrow.float16(), ["0.25", "1000"]),
        (decimals, arrow.decimal128(38, 18), ["0.2426", "1000"]),
        (decimals, arrow.decimal256(50, 18), ["0.2426", "1000"]),
        ([3, 1000], arrow.int32(), ["3", "1000"]),
        (["0.2426", "1e3"], arrow.large_string(), ["0.2426", "1000"]),
    ):
        path = parquet(tmp_path, {"usd": arrow.array(values, kind)})
        assert [usd for _, usd in read(path)] == meant, kind
    encoded = arrow.array(["0.2426", "1000"]).dictionary_encode()
    path = parquet(tmp_path, {"usd": encoded})
    assert [usd for _, usd in read(path)] == ["0.2426", "1000"]


def test_a_missing_short_float_is_missing(tmp_path: Path, arrow: Any) -> None:
    path = parquet(tmp_path, {"usd": arrow.array([0.5, None], arrow.float32())})
    assert read(path) == [(1, "0.5"), (2, "usd is not a price")]


def test_a_damaged_page_is_told_with_the_name_of_the_file(
    tmp_path: Path, arrow: Any
) -> None:
    path = parquet(tmp_path, {"usd": [f"0.{n}1" for n in range(1_000)]})
    content = bytearray(path.read_bytes())
    # The first page stands right behind the mark of the format.
    struct.pack_into("40s", content, 4, b"\xff" * 40)
    path.write_bytes(content)
    with pytest.raises(
        FileUnusable, match=r"a\.parquet: damaged, not a Parquet file: "
    ):
        read(path)
    with pytest.raises(FileUnusable, match=r"two\.parquet: damaged, not a Parquet"):
        read(file(tmp_path, "two.parquet", b"PAR1"))


def test_all_columns_that_parquet_lacks_are_told(tmp_path: Path, arrow: Any) -> None:
    writer: Any = importlib.import_module("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    writer.write_table(arrow.table({"usd": [1.0], "source": ["x"]}), path)
    with pytest.raises(FileUnusable, match="lacks the columns contractId, observedAt"):
        read(path)


def test_without_the_extra_it_is_said_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("ingest.history_files.importlib.import_module", absent)
    with pytest.raises(FileUnusable, match=r"pip install 'stacks-feed\[parquet\]'"):
        read(file(tmp_path, "a.parquet", b"PAR1"))
