"""Rows of files of history: from what stands in a file to records of the raw topics.

A row has one of three layouts. Nothing here raises for what a file holds; a row that
cannot be used comes back as a ``RefusedRow`` that says why.
"""

import json
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

from pydantic import ValidationError

from schemas.amounts import price_text
from schemas.balances import AccountRead, SubnetRead
from schemas.base import MAX_INT, Malformed, encode, first_field
from schemas.ids import ContractId, Network, parse_contract_id, parse_user_id
from schemas.prices import PriceObserved
from schemas.tokens import TokenObserved
from schemas.topics import RAW

from .history import Observation, decode_observation, topic_and_key

# 2009-01-01T00:00:00Z: before the first block of any blockchain.
EARLIEST_MS = 1_230_768_000_000
PRICE_COLUMNS = ("contractId", "source", "usd", "observedAt")
OPTIONAL_COLUMNS = ("sequence",)
EXPORT_COLUMNS = ("topic", "shard", "offset", "key", "value", "appended_at")
# Columns of an export of observations have other names for the same.
_ALIASES = {"contract_id": "contractId", "observed_at": "observedAt"}
KNOWN_COLUMNS = frozenset(
    {*PRICE_COLUMNS, *OPTIONAL_COLUMNS, *EXPORT_COLUMNS, *_ALIASES}
)
_SHOWN_CHARACTERS = 60


class Layout(Enum):
    """What the rows of a file are."""

    RECORDS = "records of raw topics"
    PRICES = "rows of prices"
    EXPORT = "an export of observations"


class TimeUnit(Enum):
    """The unit of a number that stands for a time since 1970."""

    SECONDS = "s"
    MILLISECONDS = "ms"
    MICROSECONDS = "us"
    NANOSECONDS = "ns"

    @property
    def in_words(self) -> str:
        """The name of the unit in a sentence."""
        return self.name.lower()

    def to_ms(self, number: Decimal) -> int:
        """Return a time in whole milliseconds; what is finer is cut off."""
        return int(number.scaleb(_EXPONENTS[self]))


_EXPONENTS = {
    TimeUnit.SECONDS: 3,
    TimeUnit.MILLISECONDS: 0,
    TimeUnit.MICROSECONDS: -3,
    TimeUnit.NANOSECONDS: -6,
}


@dataclass(frozen=True, slots=True)
class RowRules:
    """Which rows may be written.

    Observations are of ``network``, from 2009 to ``latest_ms``. ``unit`` is that of numbers
    in the column ``observedAt``; ``None`` takes it from the first row of each file.
    ``future_tolerance_ms`` is what the processor of an exported log let pass.
    """

    network: Network
    latest_ms: int
    unit: TimeUnit | None = TimeUnit.MILLISECONDS
    future_tolerance_ms: int = 60_000


class Order(NamedTuple):
    """The sort key of rows of one layout.

    ``(observedAt, sequence)``; of an export the partition and the offset, because there the
    order of the log decides what was published.
    """

    major: int
    minor: int


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One observation of a file, as the record that is to be appended."""

    topic: str
    key: bytes
    value: bytes
    observed_at: int
    order: Order


class Severity(Enum):
    """What a refused row means for the others."""

    # The row may be left out.
    BAD = "bad"
    # The file is not what it is taken for; no row of it may be written.
    FATAL = "fatal"
    # The log that was exported refused the record too, so that nothing is lost.
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that is not written: why, the value, and how to read the file instead."""

    reason: str
    value: str = ""
    severity: Severity = Severity.BAD
    remedy: str = ""


class Time(NamedTuple):
    """A time that needs no unit, in milliseconds since 1970, UTC."""

    ms: int


Cells = Mapping[str, Any]


def float_text(number: float, *, code: str) -> str:
    """Return the shortest decimal that reads back as the same float of 16 or 32 bits.

    ``code`` is that of ``struct``: ``e`` or ``f``.
    """
    held = struct.pack(code, number)
    texts = (f"{number:.{digits}g}" for digits in range(1, 10))
    return next(
        (text for text in texts if struct.pack(code, float(text)) == held),
        repr(number),
    )


class _Refused(Exception):
    """Ends the reading of a row; never leaves this module."""

    def __init__(self, reason: str, value: Any = None, **more: Any) -> None:
        super().__init__(reason)
        self.row = RefusedRow(reason, _shown(value), **more)


class RowReader:
    """Reads the rows of one file.

    The first row decides which layout all have. It also decides the unit of times, unless
    the rules name one.
    """

    def __init__(self, rules: RowRules) -> None:
        self._rules = rules
        self.layout: Layout | None = None
        self.unit = rules.unit

    def columns_refused(self, names: Sequence[str]) -> str | None:
        """Take the names of the columns; return what is wrong with them, if anything."""
        known = [_ALIASES.get(name, name) for name in names]
        is_export = {"topic", "value"} <= set(known)
        self.layout = Layout.EXPORT if is_export else Layout.PRICES
        wanted = EXPORT_COLUMNS if is_export else PRICE_COLUMNS
        missing = [name for name in wanted if name not in {*known, *names}]
        if missing:
            has = f"; it has {', '.join(map(_shown, names))}" if any(names) else ""
            return f"lacks the {_columns(missing)}{has}"
        twice = [name for name in (*wanted, *OPTIONAL_COLUMNS) if known.count(name) > 1]
        return f"has the {_columns(twice)} more than once" if twice else None

    def row(self, cells: Cells) -> HistoryRow | RefusedRow:
        """Read a row of named columns, of text or of typed values."""
        try:
            if self.layout is Layout.EXPORT:
                return self._exported(cells)
            return self._price({_ALIASES.get(n, n): cell for n, cell in cells.items()})
        except _Refused as refused:
            return refused.row

    def json_line(self, line: bytes) -> HistoryRow | RefusedRow:
        """Read a line of JSON Lines: a record, or an object of named columns."""
        try:
            return self._json_line(line)
        except RecursionError:
            # Deeper than can be shown or written, though it could be parsed.
            return RefusedRow("nested too deep", _shown(line))

    def _json_line(self, line: bytes) -> HistoryRow | RefusedRow:
        if self.layout is None:
            self.layout = _layout_of(line)
        if self.layout is Layout.RECORDS:
            return self._record(line.strip())
        cells = _json_object(line)
        if cells is None:
            return RefusedRow("not a JSON object", _shown(line))
        return self.row(cells)

    # ---- records

    def _record(self, value: bytes) -> HistoryRow | RefusedRow:
        # Kept byte for byte: a confirmation names the hash of the reading's bytes.
        seen = decode_observation(value)
        if isinstance(seen, Malformed):
            written_anew = _price_written_anew(value)
            if written_anew is None:
                at = _value_at(seen.field, value)
                return RefusedRow(_not_an_observation(seen), _shown(at))
            seen, value = written_anew
        moment = seen.observed_at
        try:
            self._check_time(moment, TimeUnit.MILLISECONDS, Decimal(moment))
            self._check_network(seen)
        except _Refused as refused:
            return refused.row
        return _history_row(seen, value, Order(moment, seen.sequence))

    # ---- prices

    def _price(self, cells: Cells) -> HistoryRow:
        contract = self._contract(cells.get("contractId"))
        usd = _price_text(cells.get("usd"))
        if usd is None:
            raise _Refused("usd is not a price", cells.get("usd"))
        sequence = _sequence(cells.get("sequence"))
        if sequence is None:
            raise _Refused("sequence is not a count", cells.get("sequence"))
        moment = self._moment(cells.get("observedAt"))
        try:
            seen = PriceObserved(
                contract_id=contract,
                source=cells.get("source", ""),
                usd=usd,
                observed_at=moment,
                sequence=sequence,
            )
        except ValidationError as error:
            field = first_field(error)
            raise _Refused(f"not a valid {field}", cells.get(field)) from None
        return _history_row(seen, encode(seen), Order(moment, sequence))

    def _contract(self, said: Any) -> ContractId:
        if not (isinstance(said, str) and parse_contract_id(said)):
            raise _Refused("contractId is not the id of a contract", said)
        contract = parse_contract_id(said, self._rules.network)
        if contract is None:
            raise _Refused(f"not an id of {self._rules.network.value}", said)
        return contract

    def _moment(self, cell: Any) -> int:
        """Return a time in milliseconds; learn the unit of the file if it has none yet."""
        timed = _time(cell)
        if timed is not None:
            self._check_time(timed.ms, None, cell)
            return timed.ms
        number = _number(cell)
        if number is None:
            raise _Refused("observedAt is not a time", cell)
        if self.unit is None:
            self.unit = self._unit_of(number)
        moment = (self.unit or TimeUnit.MILLISECONDS).to_ms(number)
        self._check_time(moment, self.unit, number)
        return moment

    def _check_time(self, moment: int, unit: TimeUnit | None, said: Any) -> None:
        """Refuse a time at which nothing can have been observed; name the likely unit."""
        if EARLIEST_MS <= moment <= self._rules.latest_ms:
            return
        likely = self._unit_of(said) if unit is not None else None
        if unit is not None and likely is not None:
            raise _Refused(
                f"observedAt looks like {likely.in_words}, not {unit.in_words}",
                said,
                severity=Severity.FATAL,
                remedy=self._remedy(likely),
            )
        where = "before 2009" if moment < EARLIEST_MS else "in the future"
        raise _Refused(f"observedAt is {where}", said)

    def _remedy(self, likely: TimeUnit) -> str:
        if self.layout is Layout.RECORDS:
            return "records have milliseconds"
        if self._rules.unit is None:
            return "a file has one unit"
        return f"--unit {likely.value} reads such times"

    def _unit_of(self, number: Decimal) -> TimeUnit | None:
        """Return the unit in which a number is a plausible time; it is never in two."""
        for unit in TimeUnit:
            if EARLIEST_MS <= unit.to_ms(number) <= self._rules.latest_ms:
                return unit
        return None

    # ---- exports

    def _exported(self, cells: Cells) -> HistoryRow:
        topic = cells.get("topic")
        if topic not in RAW:
            raise _Refused(
                "not a record of a raw topic",
                topic,
                severity=Severity.FATAL,
                remedy="`audit export --what observations` writes what can be read back",
            )
        shard, offset = _count(cells.get("shard")), _count(cells.get("offset"))
        appended_at = _appended_at(cells.get("appended_at"))
        if shard is None or offset is None or appended_at is None:
            place = [cells.get(name) for name in ("shard", "offset", "appended_at")]
            raise _Refused("no shard, offset and appended_at of a record", place)
        value = _exported_value(cells)
        seen = decode_observation(value)
        if isinstance(seen, Malformed):
            raise _left_out(_not_an_observation(seen), value)
        if (topic, cells.get("key")) != _named(seen):
            raise _left_out("a record under a key that is not its own", value)
        moment = seen.observed_at
        if moment > appended_at + self._rules.future_tolerance_ms:
            raise _left_out("from the future of the log that was exported", value)
        if moment > self._rules.latest_ms:
            raise _Refused("observedAt is in the future", moment)
        self._check_network(seen)
        partition = (RAW.index(topic) << 32) + shard
        return _history_row(seen, value, Order(partition, offset))

    # ---- networks

    def _check_network(self, seen: Observation) -> None:
        """Refuse an observation that names an id of another network."""
        network = self._rules.network
        user = _user_of(seen)
        if user is not None and parse_user_id(user, network) is None:
            raise _Refused(f"not an id of {network.value}", user)
        for contract in _contracts_of(seen):
            if parse_contract_id(contract, network) is None:
                raise _Refused(f"not an id of {network.value}", contract)


def _history_row(seen: Observation, value: bytes, order: Order) -> HistoryRow:
    topic, key = topic_and_key(seen)
    return HistoryRow(topic, key, value, seen.observed_at, order)


def _named(seen: Observation) -> tuple[str, str]:
    topic, key = topic_and_key(seen)
    return topic, key.decode()


def _user_of(seen: Observation) -> str | None:
    return None if isinstance(seen, PriceObserved | TokenObserved) else seen.user_id


def _contracts_of(seen: Observation) -> Iterator[str]:
    match seen:
        case AccountRead():
            yield from (held.contract_id for held in (*seen.holdings, *seen.others))
        case SubnetRead():
            yield from (seen.subnet_id, seen.base_id)
        case PriceObserved():
            yield seen.contract_id
        case TokenObserved(fields=fields):
            yield from filter(None, (seen.contract_id, fields.base))
        case _:
            return


# ---- cells

_NUMBER = re.compile(r"(?:[0-9]{1,60}(?:\.[0-9]{0,60})?|\.[0-9]{1,60})")
_PRICE = re.compile(rf"{_NUMBER.pattern}(?:[eE][+-]?[0-9]{{1,3}})?")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
    r" ?(?:Z|UTC|[+-][0-9]{2}:?[0-9]{2})?"
)


def _price_text(cell: Any) -> str | None:
    match cell:
        case bool():
            return None
        case int() | Decimal():
            return price_text(cell)
        case float():
            # The shortest decimal that reads back as the same double is what was meant.
            return price_text(repr(cell))
        case str() if _PRICE.fullmatch(cell):
            return price_text(cell)
        case _:
            return None


def _number(cell: Any) -> Decimal | None:
    """Return a number that is not negative; exponents lose digits, so there are none."""
    match cell:
        case bool():
            return None
        case str() if _NUMBER.fullmatch(cell):
            number = Decimal(cell)
        case int() | float() | Decimal():
            number = Decimal(cell)
        case _:
            return None
    is_usable = number.is_finite() and 0 <= number < _TOO_LARGE
    return number if is_usable else None


_TOO_LARGE = Decimal(10) ** 25


def _time(cell: Any) -> Time | None:
    """Read a time that needs no unit; one without a zone is in UTC."""
    if isinstance(cell, Time):
        return cell
    if not (isinstance(cell, str) and _TIME.fullmatch(cell)):
        return None
    text = cell.removesuffix("UTC").removesuffix("Z").rstrip()
    try:
        at = datetime.fromisoformat(text.replace(" +", "+").replace(" -", "-"))
        zoned = at if at.tzinfo else at.replace(tzinfo=UTC)
        since = zoned - _EPOCH
    except (ValueError, OverflowError):
        return None
    return Time(
        since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000
    )


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _count(cell: Any) -> int | None:
    number = _number(cell)
    if number is None or number > MAX_INT or number % 1:
        return None
    return int(number)


def _sequence(cell: Any) -> int | None:
    # A missing number in a column of floats is NaN.
    is_missing = cell is None or cell == "" or cell != cell  # noqa: PLR0124
    return 0 if is_missing else _count(cell)


def _appended_at(cell: Any) -> int | None:
    return cell.ms if isinstance(cell, Time) else _count(cell)


def _exported_value(cells: Cells) -> bytes:
    """Return the value of an exported record; empty for one that is missing or no text."""
    text = cells.get("value")
    try:
        return text.encode() if isinstance(text, str) else b""
    except UnicodeEncodeError:
        return b""


# ---- JSON


def _layout_of(line: bytes) -> Layout | None:
    """Return the layout of a line; ``None`` for a line that does not tell."""
    cells = _json_object(line)
    if cells is None:
        return None
    if "topic" in cells and "value" in cells:
        return Layout.EXPORT
    is_price = any(_ALIASES.get(name, name) in PRICE_COLUMNS for name in cells)
    return Layout.PRICES if is_price and "schema" not in cells else Layout.RECORDS


def _price_written_anew(value: bytes) -> tuple[PriceObserved, bytes] | None:
    """Return a record of a price as our encoder writes it; ``None`` for all else.

    Other programs write a price as a number, or with zeros at its end. No record names the
    bytes of a price, so they need not be kept.
    """
    cells = _json_object(value) or {}
    usd = _price_text(cells.get("usd"))
    contract = parse_contract_id(f"{cells.get('contractId')}")
    if usd is None or contract is None:
        return None
    cells |= {"usd": usd, "contractId": contract}
    seen = decode_observation(json.dumps(cells, default=str).encode())
    return (seen, encode(seen)) if isinstance(seen, PriceObserved) else None


def _value_at(field: str, value: bytes) -> Any:
    """Return what stands in a field of a record; the whole record if there is no such."""
    found: Any = _json_object(value)
    try:
        for name in field.partition("/1.")[2].split("."):
            found = found[int(name) if isinstance(found, list) else name]
    except (KeyError, ValueError, IndexError, TypeError):
        return value
    return found


def _json_object(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line, parse_float=Decimal)
    except (ValueError, RecursionError, ArithmeticError):
        return None
    return found if isinstance(found, dict) else None


# ---- words


def _not_an_observation(seen: Malformed) -> str:
    # Positions in a list would make a reason of their own each.
    field = re.sub(r"\.[0-9]+", "[]", seen.field)
    return f"not an observation, at {field or 'the whole line'}"


def _left_out(reason: str, value: bytes) -> _Refused:
    return _Refused(reason, value, severity=Severity.LEFT_OUT)


def _columns(names: Sequence[str]) -> str:
    return f"column{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _shown(said: Any) -> str:
    """Return what stands in a file, short and safe to print."""
    match said:
        case None | "" | b"":
            return "nothing"
        case bytes():
            text = repr(said[: _SHOWN_CHARACTERS + 1].decode(errors="replace"))
        case str():
            text = repr(said[: _SHOWN_CHARACTERS + 1])
        case Time():
            text = f"{said.ms} ms"
        case Decimal():
            text = f"{said}"
        case _:
            text = repr(said)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
