"""Bodies of upstreams: JSON read without a float, and what to say of a bad one."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ingest.core.headers import shown
from schemas.base import first_field

# The longest list that is asked for has 10,000 rows of some 30 fields. Parsed, a body
# takes many times its size, so the number of its values is bounded too.
MAX_ROWS = 20_000
_MAX_VALUES = 500_000
_MAX_TEXT = 8_192
# A uint128 has 39 digits; no number with more than this is anything we read.
_MAX_DIGITS = 100
_AMOUNT_LIMIT = Decimal(10) ** 40
_DECIMAL = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{0,40})?(?:[eE][+-]?[0-9]{1,3})?")
# Stands for every number that is none: NaN, infinities, and what no arithmetic can hold.
# It is a value like any other, so that it costs its row and not the whole answer.
NO_NUMBER = Decimal("NaN")


@dataclass(frozen=True, slots=True)
class Unusable:
    """An answer that cannot be read as what it should be; ``why`` is for operators.

    ``again`` tells whether asking again at once may help. ``declined`` tells that it is a
    sound answer that declines what was asked: it says nothing against the upstream.
    """

    why: str
    again: bool = True
    declined: bool = False


class Upstream(BaseModel):
    """A piece of an upstream's answer: unknown fields are ignored, types are strict."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


_Model = TypeVar("_Model", bound=Upstream)


def parse(body: bytes) -> Any | Unusable:
    """Read JSON; numbers with a point or an exponent become exact ``Decimal``.

    A number beyond all use, and the ``NaN`` and ``Infinity`` that some libraries write,
    become ``NO_NUMBER``.
    """
    if body.count(b",") + body.count(b"{") + body.count(b"[") > _MAX_VALUES:
        return Unusable(f"more than {_MAX_VALUES} values")
    try:
        said = json.loads(
            body, parse_int=_integer, parse_float=_decimal, parse_constant=_constant
        )
    except (ValueError, RecursionError):
        return Unusable("not JSON")
    return Unusable(f"more than {MAX_ROWS} rows") if _has_many_rows(said) else said


def read(model: type[_Model], body: bytes) -> _Model | Unusable:
    """Read a whole body as ``model``."""
    said = parse(body)
    return said if isinstance(said, Unusable) else shape(model, said)


def shape(model: type[_Model], said: Any) -> _Model | Unusable:
    """Read parsed JSON as ``model``."""
    try:
        return model.model_validate(said)
    except ValidationError as error:
        where = shown(first_field(error))
        return Unusable(f"unexpected shape at {where or 'the top'}")


def text(said: Any) -> str | None:
    """Return a text that records can hold; ``None`` for an empty, long or broken one.

    JSON can spell half of a surrogate pair, which no UTF-8 record can hold.
    """
    if not isinstance(said, str) or not said.strip() or len(said) > _MAX_TEXT:
        return None
    try:
        said.encode()
    except UnicodeEncodeError:
        return None
    return said


def number(said: Any) -> Decimal | None:
    """Return a JSON number, exactly; ``None`` for anything else (true is none)."""
    if isinstance(said, bool) or not isinstance(said, int | Decimal):
        return None
    exact = Decimal(said)
    return exact if exact.is_finite() else None


def decimal(said: Any) -> Decimal | None:
    """Return a number, or what a text spells as one."""
    if isinstance(said, str):
        return Decimal(said) if _DECIMAL.fullmatch(said) else None
    return number(said)


def whole(said: Any) -> int | None:
    """Return a whole number of 0 or more, from a number or from digits in a text."""
    if isinstance(said, str):
        return int(said) if _is_count(said) else None
    exact = number(said)
    # Beyond 10**40 nothing is an amount, and an exponent could ask for gigabytes.
    if exact is None or not 0 <= exact < _AMOUNT_LIMIT:
        return None
    count = int(exact)
    return count if exact == count else None


def each(rows: list[Any], take: Callable[[Any], Any | None]) -> tuple[list[Any], int]:
    """Return what ``take`` makes of each row, and how many rows it refused."""
    taken = [made for row in rows if (made := take(row)) is not None]
    return taken, len(rows) - len(taken)


def _has_many_rows(said: Any) -> bool:
    """Tell whether an answer, or a list in it, is longer than any that is asked for."""
    lists = [said, *said.values()] if isinstance(said, dict) else [said]
    return any(isinstance(rows, list | dict) and len(rows) > MAX_ROWS for rows in lists)


def _is_count(said: str) -> bool:
    return (
        said.isascii()
        and said.isdigit()
        and len(said) <= len("340282366920938463463374607431768211455")
    )


def _integer(said: str) -> int | Decimal:
    return int(said) if len(said) <= _MAX_DIGITS else NO_NUMBER


def _decimal(said: str) -> Decimal:
    try:
        return Decimal(said) if len(said) <= _MAX_DIGITS else NO_NUMBER
    except ArithmeticError:
        # An exponent of more than 18 digits.
        return NO_NUMBER


def _constant(_: str) -> Decimal:
    return NO_NUMBER
