"""Bodies of upstreams: JSON read without a float, and what to say of a bad one."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.base import first_field

_MAX_TEXT = 8_192


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
    """Read JSON; numbers with a point or an exponent become exact ``Decimal``."""
    try:
        return json.loads(body, parse_float=_decimal, parse_constant=_refuse)
    except (ValueError, ArithmeticError, RecursionError):
        return Unusable("not JSON")


def read(model: type[_Model], body: bytes) -> _Model | Unusable:
    """Read a whole body as ``model``."""
    said = parse(body)
    return said if isinstance(said, Unusable) else shape(model, said)


def shape(model: type[_Model], said: Any) -> _Model | Unusable:
    """Read parsed JSON as ``model``."""
    try:
        return model.model_validate(said)
    except ValidationError as error:
        return Unusable(f"unexpected shape at {first_field(error) or 'the top'}")


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
    return Decimal(said)


def whole(said: Any) -> int | None:
    """Return a whole number of 0 or more, from a number or from digits in a text."""
    if isinstance(said, str):
        return int(said) if _is_count(said) else None
    exact = number(said)
    # Beyond 10**40 nothing is an amount, and an exponent could ask for gigabytes.
    if exact is None or not 0 <= exact < Decimal(10) ** 40 or exact % 1:
        return None
    return int(exact)


def each(rows: list[Any], take: Callable[[Any], Any | None]) -> tuple[list[Any], int]:
    """Return what ``take`` makes of each row, and how many rows it refused."""
    taken = [made for row in rows if (made := take(row)) is not None]
    return taken, len(rows) - len(taken)


def _is_count(said: str) -> bool:
    return (
        said.isascii()
        and said.isdigit()
        and len(said) <= len("340282366920938463463374607431768211455")
    )


def _decimal(said: str) -> Decimal:
    return Decimal(said)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
