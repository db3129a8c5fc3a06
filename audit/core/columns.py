"""Records of the log as rows: which columns there are, and what stands in them.

Amounts and prices are text, exact always. Where a file format has decimals they stand
there once more, as far as they fit: amounts of at most 38 digits, prices of at most 20
before and 18 after the point; else the decimal is null and the text is not.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

import orjson

from schemas.base import canonical
from schemas.topics import CHANGES, JOURNAL, RAW

from .commits import LogRecord, commit_of

DIGITS, PRICE_PLACES = 38, 18
_MAX_INT64 = 2**63 - 1


class Kind(Enum):
    """What a column holds."""

    TEXT = "text"
    NUMBER = "integer"
    TIME = "milliseconds since 1970, UTC"
    AMOUNT = "base units"
    PRICE = "USD"


class Column(NamedTuple):
    """A column by its name."""

    name: str
    kind: Kind


Row = tuple[Any, ...]


class Table(NamedTuple):
    """What is exported: of which topics, in which columns, and a row of a record."""

    topics: Sequence[str]
    columns: Sequence[Column]
    row: Callable[[str, int, LogRecord], Row]


_PLACE = (
    Column("appended_at", Kind.TIME),
    Column("topic", Kind.TEXT),
    Column("shard", Kind.NUMBER),
    Column("offset", Kind.NUMBER),
    Column("key", Kind.TEXT),
    Column("value", Kind.TEXT),
    Column("value_base64", Kind.TEXT),
)


def _place(topic: str, shard: int, record: LogRecord) -> Row:
    key, value = record.key, record.value
    text, other = _text(value)
    name = None if key is None else key.decode(errors="backslashreplace")
    return record.time_ms, topic, shard, record.offset, name, text, other


def _text(value: bytes | None) -> tuple[str | None, str | None]:
    """Return bytes as text, or as base64 if they are none."""
    if value is None:
        return None, None
    try:
        return value.decode(), None
    except UnicodeDecodeError:
        return None, b64encode(value).decode()


def _said(value: bytes | None) -> dict[str, Any]:
    """Return the fields of a record; of one that is not as it should be, none."""
    try:
        said = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _picked(said: Mapping[str, Any], columns: Sequence[tuple[Column, str]]) -> Row:
    return tuple(_fitting(said.get(name), column.kind) for column, name in columns)


def _fitting(value: Any, kind: Kind) -> Any:
    """Return a value if it is of a kind, else ``None``: whoever wrote it may be wrong."""
    if kind in {Kind.NUMBER, Kind.TIME}:
        is_number = type(value) is int and abs(value) <= _MAX_INT64
        return value if is_number else None
    return value if isinstance(value, str) else None


def decimal_of(text: str | None, kind: Kind) -> Decimal | None:
    """Return an amount or a price as a decimal of 38 digits, if it fits exactly."""
    if text is None:
        return None
    try:
        number = Decimal(text)
    except ArithmeticError:
        return None
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        return None
    places = PRICE_PLACES if kind is Kind.PRICE else 0
    fits = -exponent <= places and len(digits) + exponent <= DIGITS - places
    return number if fits else None


# ---- observations

_OBSERVED = (
    (Column("schema", Kind.TEXT), "schema"),
    (Column("source", Kind.TEXT), "source"),
    (Column("observed_at", Kind.TIME), "observedAt"),
    (Column("sequence", Kind.NUMBER), "sequence"),
    (Column("contract_id", Kind.TEXT), "contractId"),
    (Column("user_id", Kind.TEXT), "userId"),
    (Column("usd", Kind.PRICE), "usd"),
    (Column("subnet_id", Kind.TEXT), "subnetId"),
    (Column("base_id", Kind.TEXT), "baseId"),
    (Column("balance", Kind.AMOUNT), "balance"),
)


def _observation(topic: str, shard: int, record: LogRecord) -> Row:
    return (
        *_place(topic, shard, record),
        *_picked(_said(record.value), _OBSERVED),
    )


# ---- changes

_PUBLISHED = (
    (Column("contract_id", Kind.TEXT), "contractId"),
    (Column("user_id", Kind.TEXT), "userId"),
    (Column("version", Kind.NUMBER), "version"),
    (Column("observed_at", Kind.TIME), "observedAt"),
    (Column("usd", Kind.PRICE), "usd"),
)
_BALANCE = (
    Column("commit", Kind.NUMBER),
    Column("kind", Kind.TEXT),
    Column("mainnet", Kind.AMOUNT),
    Column("total", Kind.AMOUNT),
)


def _change(topic: str, shard: int, record: LogRecord) -> Row:
    said = _said(record.value)
    kind = (record.key or b"").partition(b":")[0].decode(errors="backslashreplace")
    amounts = _amounts(said) if kind == "balance" else (None, None)
    return (
        *_place(topic, shard, record),
        *_picked(said, _PUBLISHED),
        commit_of(record),
        kind,
        *amounts,
    )


def _amounts(said: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the mainnet part of a balance, and the sum of all parts."""
    try:
        parts = [part["balance"] for part in said["subnets"].values()]
        mainnet = said["mainnet"] and said["mainnet"]["balance"]
        total = sum(int(part) for part in [*parts, mainnet or "0"])
    except (KeyError, TypeError, AttributeError, ValueError):
        return None, None
    return mainnet, f"{total}"


# ---- the journal

_JOURNAL = (
    (Column("commit", Kind.NUMBER), "commit"),
    (Column("log_time", Kind.TIME), "logTime"),
    (Column("generation", Kind.NUMBER), "generation"),
    (Column("previous", Kind.TEXT), "previous"),
    (Column("published", Kind.NUMBER), "published"),
    (Column("rejected", Kind.NUMBER), "rejected"),
    (Column("decisions", Kind.TEXT), "decisions"),
    (Column("inputs", Kind.TEXT), "inputs"),
    (Column("settings", Kind.TEXT), "settings"),
)


def _commit(topic: str, shard: int, record: LogRecord) -> Row:
    said = _said(record.value)
    flat = dict(said)
    for name in ("decisions", "inputs", "settings"):
        if name in said:
            flat[name] = canonical(said[name]).decode()
    flat["published"] = _count(said.get("published"))
    flat["rejected"] = _count(said.get("rejects"))
    return (*_place(topic, shard, record), *_picked(flat, _JOURNAL))


def _count(digest: Any) -> Any:
    return digest.get("count") if isinstance(digest, dict) else None


def _columns(columns: Sequence[tuple[Column, str]]) -> list[Column]:
    return [column for column, _ in columns]


TABLES: Mapping[str, Table] = {
    "observations": Table(RAW, (*_PLACE, *_columns(_OBSERVED)), _observation),
    "changes": Table((CHANGES,), (*_PLACE, *_columns(_PUBLISHED), *_BALANCE), _change),
    "journal": Table((JOURNAL,), (*_PLACE, *_columns(_JOURNAL)), _commit),
}
