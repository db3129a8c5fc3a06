"""Reads the headers of an upstream's answer; nothing here raises for any header.

Names are in lower case. If a header is repeated its first value counts, and a value that
cannot be read is as good as absent.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

Headers = Mapping[str, str]

_MAX_HEADERS = 200
_MAX_VALUE = 8_192
_MAX_DIGITS = 12
_MAX_TAG = 256
_SHOWN = 200
_ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
_MONTHS = (
    "jan feb mar apr may jun jul aug sep oct nov dec".split()  # noqa: SIM905 - a list of twelve quoted names reads worse
)
_DAY, _MONTH, _TIME = r"\d{1,2}", "[a-z]{3}", r"(\d{2}):(\d{2}):(\d{2})"
# The three forms of RFC 9110, section 5.6.7, of which the first is the one in use.
_DATES = (
    re.compile(
        rf"[a-z]{{3}}, (?P<day>{_DAY}) (?P<month>{_MONTH}) (?P<year>\d{{4}}) "
        rf"(?P<time>{_TIME}) (?:gmt|utc|\+0000)"
    ),
    re.compile(
        rf"[a-z]{{6,9}}, (?P<day>{_DAY})-(?P<month>{_MONTH})-(?P<year>\d{{2}}) "
        rf"(?P<time>{_TIME}) gmt"
    ),
    re.compile(
        rf"[a-z]{{3}} (?P<month>{_MONTH}) +(?P<day>{_DAY}) (?P<time>{_TIME}) "
        r"(?P<year>\d{4})"
    ),
)
_MAX_DATE = 40
# A year of two digits is of this century up to this one, else of the last.
_PIVOT = 70


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return the headers of an answer, as they came off the wire, as text."""
    found: dict[str, str] = {}
    for name, value in raw:
        if len(found) >= _MAX_HEADERS:
            break
        text = value[:_MAX_VALUE].decode("latin-1").strip()
        found.setdefault(name.decode("latin-1").lower(), text)
    return found


def number(headers: Headers, *names: str) -> int | None:
    """Return the whole number of the first of these headers that is one."""
    for name in names:
        found = digits(headers.get(name, ""))
        if found is not None:
            return found
    return None


def digits(text: str) -> int | None:
    """Return the number that up to twelve ASCII digits spell."""
    sound = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return int(text) if sound else None


def http_date_s(text: str) -> float | None:
    """Return the moment of an HTTP date in seconds since 1970."""
    if len(text) > _MAX_DATE or not text.isascii():
        return None
    for form in _DATES:
        match = form.fullmatch(text.strip().lower())
        if match is not None:
            return _moment_s(match)
    return None


def _moment_s(match: re.Match[str]) -> float | None:
    year, day = int(match["year"]), int(match["day"])
    if len(match["year"]) == len("70"):
        year += 2000 if year < _PIVOT else 1900
    hour, minute, second = map(int, match["time"].split(":"))
    try:
        month = _MONTHS.index(match["month"]) + 1
        # A leap second is told as the one before it.
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None
    return moment.timestamp()


def entity_tag(headers: Headers) -> str | None:
    """Return the ``etag`` of an answer if it may be sent back as it is."""
    tag = headers.get("etag", "")
    return tag if len(tag) <= _MAX_TAG and _ENTITY_TAG.fullmatch(tag) else None


def shown(text: str) -> str:
    """Return what a stranger said as one short line that any log and any JSON can hold."""
    return _UNPRINTABLE.sub("?", text[:_SHOWN])
