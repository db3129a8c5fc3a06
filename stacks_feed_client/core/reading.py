"""From the text of a message to values; nothing that a server sends raises.

Numbers never pass through a float: they are read from their digits.
"""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from stacks_feed_client.core.ids import normal
from stacks_feed_client.core.status import Observed
from stacks_feed_client.core.values import Balance, Price, SubnetBalance, Token

Message = Mapping[str, Any]

# The largest amount is 2**128 - 1.
_MAX_AMOUNT_DIGITS = 39
# Python refuses to read longer integers, and takes long to read these.
_MAX_TEXT_DIGITS = 4_000
_MAX_INTEGER_BITS = 13_000
# Versions, moments and intervals are far below; sums of them fit into a float.
_MAX_COUNT = 2**63 - 1
# Prices and amounts of whole tokens: 39 digits before the point; after it as many places
# as a float has, since a token may have any number of decimals.
_MAX_EXPONENT, _MIN_EXPONENT = 39, -400
# As servers write them. Others cannot be sent back: a long one would break every request.
_CURSOR = re.compile(r"[A-Za-z0-9_.-]{1,16384}")
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
# What a person can read of a text that a server sent, in one line of a log.
MAX_LINE = 200


class Unreadable(ValueError):
    """A message, or an entry of one, is not what it should be."""


def message(text: str | bytes) -> Message:
    """Return a message; one that cannot be read is an empty one."""
    if isinstance(text, bytes):
        return {}
    try:
        read = json.loads(text, parse_float=_decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def prices(said: Message) -> Iterator[Price | None]:
    """Yield the prices of an update or a batch, ``None`` for each that is unreadable."""
    for entry in _entries(said, "PRICE_BATCH", "prices"):
        try:
            yield _price(entry)
        except Unreadable:
            yield None


def balances(said: Message) -> Iterator[Balance | None]:
    """Yield the balances of an update or a batch, ``None`` for each that is unreadable."""
    for entry in _entries(said, "BALANCE_BATCH", "balances"):
        try:
            yield _balance(entry)
        except Unreadable:
            yield None


def text(value: object) -> str | None:
    """Return a text that is not empty, else ``None``.

    JSON can write half of a character. Whoever printed that, or sent it on, would fail.
    """
    if not isinstance(value, str) or not value or _HALF_CHARACTER.search(value):
        return None
    return value


def count(value: object) -> int | None:
    """Return an integer from 0 to 2**63 - 1, else ``None``."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value <= _MAX_COUNT else None
    return None


def cursor(said: Message) -> str | None:
    """Return the cursor of a message; ``None`` without one that can be sent back."""
    found = text(said.get("cursor"))
    return found if found and _CURSOR.fullmatch(found) else None


def line(foreign: str) -> str:
    """Return a foreign text as one printable line of bounded length."""
    shortened = foreign[: MAX_LINE + 1]
    printable = "".join(each if each.isprintable() else " " for each in shortened)
    if len(foreign) <= MAX_LINE:
        return printable.strip()
    return printable[: MAX_LINE - 1].strip() + "…"


def observed_ages(said: Message) -> Observed:
    """Return how old what a heartbeat tells of is, by the server's own clock."""
    told, now_ms = said.get("observed"), count(said.get("timestamp"))
    moments = told if isinstance(told, dict) and now_ms is not None else {}

    def age_s(kind: str) -> float | None:
        at_ms = count(moments.get(kind))
        return None if at_ms is None else max(0, (now_ms or 0) - at_ms) / 1_000

    old, total = _old_prices(said)
    return Observed(
        age_s("prices"),
        age_s("balances"),
        age_s("tokens"),
        {token: max(0, (now_ms or 0) - at_ms) / 1_000 for token, at_ms in old.items()},
        total,
    )


def _old_prices(said: Message) -> tuple[dict[str, int], int]:
    """Return when old prices were last quoted, and how many there are."""
    told = said.get("oldPrices")
    if not isinstance(told, dict) or count(said.get("timestamp")) is None:
        return {}, 0
    quoted = told.get("quotedAt")
    found = {
        token: at_ms
        for token, moment in (quoted if isinstance(quoted, dict) else {}).items()
        if (at_ms := count(moment)) is not None
    }
    return found, count(told.get("count")) or 0


def stale_because(said: Message) -> str:
    """Return what a heartbeat that calls the values stale says about their age."""
    because = [*_processed(said), *_newest_price(said)]
    detail = f": {'; '.join(because)}" if because else ""
    return f"the server says that newer values may exist{detail}"


def _processed(said: Message) -> Iterator[str]:
    """Yield how far behind the shard is that is furthest behind."""
    marks, now_ms = said.get("watermarks"), count(said.get("timestamp"))
    if not isinstance(marks, list) or not marks or now_ms is None:
        return
    moments = [count(each) for each in marks]
    known = [each for each in moments if each is not None]
    if len(known) < len(moments):
        yield "a shard of its log was never processed"
    else:
        yield f"its log is processed up to {max(0, now_ms - min(known)) // 1_000} s ago"


def _newest_price(said: Message) -> Iterator[str]:
    age_s = observed_ages(said).prices_age_s
    if age_s is not None:
        yield f"the newest price was observed {age_s:.0f} s ago"


def _entries(said: Message, batch: str, name: str) -> Iterator[Message]:
    if said.get("type") != batch:
        yield said
        return
    listed = said.get(name)
    for entry in listed if isinstance(listed, list) else [None]:
        yield entry if isinstance(entry, dict) else {}


def _price(entry: Message) -> Price:
    return Price(
        contract_id=normal(_text(entry, "contractId")),
        price=_quantity(entry.get("price")),
        observed_at_ms=_amount(entry.get("timestamp")),
        source=_text(entry, "source"),
        version=_version(entry),
    )


def _balance(entry: Message) -> Balance:
    contract = normal(_text(entry, "contractId"))
    return Balance(
        user_id=normal(_text(entry, "userId")),
        contract_id=contract,
        balance=_amount_or_none(entry.get("balance")),
        formatted=_quantity_or_none(entry.get("formattedBalance")),
        total_sent=_amount_or_none(entry.get("totalSent")),
        total_received=_amount_or_none(entry.get("totalReceived")),
        subnets=tuple(_subnets(entry)),
        token=_token(contract, entry.get("metadata")),
        observed_at_ms=_amount(entry.get("timestamp")),
        source=_text(entry, "source"),
        version=_version(entry),
    )


def _subnets(entry: Message) -> Iterator[SubnetBalance]:
    """Yield every part with ``exact``, else the one that the message carries."""
    listed = entry.get("subnets")
    if isinstance(listed, list):
        for part in listed:
            if not isinstance(part, dict):
                raise Unreadable("a subnet part is no object")
            yield SubnetBalance(
                contract_id=normal(_text(part, "contractId")),
                balance=_amount(part.get("balance")),
                formatted=_quantity(part.get("formattedBalance")),
            )
    elif entry.get("subnetBalance") is not None:
        yield SubnetBalance(
            contract_id=normal(_text(entry, "subnetContractId")),
            balance=_amount(entry["subnetBalance"]),
            formatted=_quantity(entry.get("formattedSubnetBalance")),
        )


def _token(contract: str, said: object) -> Token:
    fields = said if isinstance(said, dict) else {}
    return Token(
        contract_id=contract,
        name=text(fields.get("name")),
        symbol=text(fields.get("symbol")),
        decimals=count(fields.get("decimals")),
        image=text(fields.get("image")),
        price=_quantity_or_none(fields.get("price")),
        fields=fields,
    )


def _text(entry: Message, name: str) -> str:
    found = text(entry.get(name))
    if found is None:
        raise Unreadable(f"{name} is missing or no text")
    return found


def _version(entry: Message) -> int | None:
    """Return the version; without one values are taken in the order of arrival.

    One that cannot be read must not be taken for none: the value would pass as newer.
    """
    said = entry.get("version")
    version = count(said)
    if said is not None and version is None:
        raise Unreadable("a version is no count")
    return version


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise Unreadable("a number is missing or none")
    if isinstance(value, int) and value.bit_length() > _MAX_INTEGER_BITS:
        raise Unreadable("a number of thousands of digits")
    return _decimal(f"{value}")


def _quantity(value: object) -> Decimal:
    """Return a price or an amount of whole tokens: not negative, of a sane size."""
    number = _number(value)
    # Of 1e999999999 no program could print the digits, of 1e-999999999 neither.
    if number < 0 or not _MIN_EXPONENT < number.adjusted() < _MAX_EXPONENT:
        raise Unreadable(f"{value} is no price and no amount")
    return number


def _quantity_or_none(value: object) -> Decimal | None:
    return None if value is None else _quantity(value)


def _amount(value: object) -> int:
    """Return an integer however it is written: a number, its digits, or ``1e21``."""
    number = _number(value)
    # Looked at first: the digits of 1e999999999 would fill the memory.
    fits = number >= 0 and number.adjusted() < _MAX_AMOUNT_DIGITS
    if not fits or number != number.to_integral_value():
        raise Unreadable(f"{value} is no amount")
    return int(number)


def _amount_or_none(value: object) -> int | None:
    return None if value is None else _amount(value)


def _decimal(digits: str) -> Decimal:
    if len(digits) > _MAX_TEXT_DIGITS:
        raise Unreadable("a number of thousands of digits")
    try:
        number = Decimal(digits)
    except InvalidOperation:
        raise Unreadable(f"{digits} is no number") from None
    if not number.is_finite():
        raise Unreadable(f"{digits} is no number")
    return number


def _no_constant(name: str) -> NoReturn:
    raise Unreadable(f"{name} is no number")
