"""Exact numbers: amounts of base units, prices in USD, and the only rounding there is.

An amount is an integer of 0 to 2**128-1 base units, in records as text. What an upstream
says may be out of that range and is kept as it was said. A price is a decimal without
exponent, 1e-18 <= price < 1e20, of at most 38 digits.
"""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Annotated

from pydantic import Field

MAX_AMOUNT = 2**128 - 1
MAX_DECIMALS = 38
_MAX_DIGITS = 39
PRICE_PLACES = 18

# Half to even at 50 digits, then `cut`: two prices of ordinary size add up exactly.
EXACT = Context(prec=50, rounding=ROUND_HALF_EVEN)
_PLACE = Decimal(1).scaleb(-PRICE_PLACES)
_MIN_PRICE, _PRICE_LIMIT = _PLACE, Decimal(10) ** 20
_MAX_PRICE_DIGITS = 38

_SAID = "(?:0|-?[1-9][0-9]{0,38})"
PRICE_PATTERN = (
    r"(?:0\.0{0,17}[1-9](?:[0-9]{0,35}[1-9])?|[1-9][0-9]{0,19}(?:\.[0-9]{0,36}[1-9])?)"
)
AmountSaid = Annotated[
    str,
    Field(pattern=f"^{_SAID}$", description="Base units as said: any sign, 39 digits"),
]
Amount = Annotated[
    str,
    Field(pattern="^(?:0|[1-9][0-9]{0,38})$", description="Base units, 0 to 2**128-1"),
]
# 38 digits and the point.
MAX_PRICE_TEXT = 39
PriceText = Annotated[
    str,
    Field(
        pattern=f"^{PRICE_PATTERN}$",
        max_length=MAX_PRICE_TEXT,
        description="USD, at most 38 digits",
    ),
]
Ratio = Annotated[
    str, Field(pattern=r"^-?(?:0|[1-9][0-9]{0,19})(?:\.[0-9]{1,18})?$", max_length=40)
]

_said = re.compile(_SAID).fullmatch
_price = re.compile(PRICE_PATTERN).fullmatch


def is_sound(amount: str) -> bool:
    """Tell whether an amount as said can be a balance: 0 to 2**128-1."""
    return amount[0] != "-" and (len(amount) < _MAX_DIGITS or int(amount) <= MAX_AMOUNT)


def is_amount_said(text: str) -> bool:
    """Tell whether a text is an integer as an upstream may say it."""
    return _said(text) is not None


def plain(number: Decimal) -> str:
    """Return a finite decimal without exponent and without trailing zeros."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def price_text(said: str | Decimal | int) -> str | None:
    """Return a price as records write it; ``None`` for what is not a price.

    Exact: a price of more than 38 digits, not above 0, below 1e-18 or from 1e20 on, NaN
    and infinities are no prices. Nothing is rounded.
    """
    try:
        number = Decimal(said)
    except InvalidOperation:
        return None
    if not (number.is_finite() and _MIN_PRICE <= number < _PRICE_LIMIT):
        return None
    text = plain(number)
    digits = len(text) - ("." in text)
    return text if digits <= _MAX_PRICE_DIGITS and _price(text) else None


def ratio_text(said: Decimal | int) -> str | None:
    """Return a signed ratio or percentage cut to 18 places; ``None`` if it is out of range."""
    number = Decimal(said)
    # Compared, not computed with: arithmetic raises for exponents beyond its range.
    if not (number.is_finite() and -_PRICE_LIMIT < number < _PRICE_LIMIT):
        return None
    # What is just below the limit is rounded to it.
    rounded = EXACT.quantize(number, _PLACE)
    return plain(rounded) if -_PRICE_LIMIT < rounded < _PRICE_LIMIT else None


def cut(number: Decimal) -> Decimal:
    """Round a price to 18 places, half to even."""
    return EXACT.quantize(number, _PLACE)


def formatted(amount: int, decimals: int) -> float:
    """Return the double nearest to ``amount / 10**decimals``."""
    return float(amount / 10**decimals)


def exact_text(amount: int, decimals: int) -> str:
    """Return ``amount / 10**decimals`` with all its digits, no exponent, no trailing zeros."""
    digits = str(abs(amount)).rjust(decimals + 1, "0")
    sign = "-" if amount < 0 else ""
    if decimals == 0:
        return sign + digits
    whole, fraction = digits[:-decimals], digits[-decimals:].rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole
