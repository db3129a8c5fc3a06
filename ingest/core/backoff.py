"""What an HTTP status means for the next request, and how long to wait for it."""

from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus

from ingest.core.headers import digits, http_date_s, shown
from ingest.core.silence import Cause

# Hiro's gateway has sent a Retry-After that is no number.
DEFAULT_RETRY_AFTER_S = 60.0
# No header silences a host for longer: one request an hour is no burden to anybody.
MAX_RETRY_AFTER_S = 3_600.0
# Smaller numbers in `ratelimit-reset` are seconds left, larger ones a time (2001 on).
_UNIX_FROM = 1_000_000_000
_BASE_S = 0.5
_CAP_S = 30.0


class Verdict(Enum):
    """What to do about an answer."""

    READ = "read"
    UNCHANGED = "unchanged"
    GONE = "gone"
    LIMITED = "limited"
    KEY = "key"
    REFUSED = "refused"
    AGAIN = "again"


_VERDICTS = {
    HTTPStatus.NOT_MODIFIED: Verdict.UNCHANGED,
    HTTPStatus.GONE: Verdict.GONE,
    HTTPStatus.TOO_MANY_REQUESTS: Verdict.LIMITED,
    HTTPStatus.UNAUTHORIZED: Verdict.KEY,
    HTTPStatus.FORBIDDEN: Verdict.KEY,
    HTTPStatus.REQUEST_TIMEOUT: Verdict.AGAIN,
    HTTPStatus.TOO_EARLY: Verdict.AGAIN,
}


def verdict(status: int) -> Verdict:
    """Return what a status means: only a 200 is a reading."""
    if status == HTTPStatus.OK:
        return Verdict.READ
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Verdict.AGAIN
    return (
        _VERDICTS.get(HTTPStatus(status), Verdict.REFUSED)
        if _known(status)
        else Verdict.REFUSED
    )


# A refusal with one of these is about what was asked for: an id, its size, its form.
_ABOUT_SUBJECT = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.CONFLICT,
        HTTPStatus.PRECONDITION_FAILED,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.REQUEST_URI_TOO_LONG,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)


def is_about_subject(status: int) -> bool:
    """Tell whether a refusal is about the user or contract asked for, not the source.

    A redirect, a 404 or a 405 says that the endpoint is not where we ask: an account that
    nobody has ever seen is answered with 200.
    """
    return status in _ABOUT_SUBJECT


def cause_of(status: int) -> Cause:
    """Return what kind of trouble a status other than 200 tells of.

    A 304 is trouble where nobody asked whether something has changed.
    """
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        unasked = status == HTTPStatus.NOT_MODIFIED
        return Cause.UNUSABLE if unasked else Cause.MOVED
    match verdict(status):
        case Verdict.LIMITED:
            return Cause.LIMITED
        case Verdict.KEY:
            return Cause.KEY
        case Verdict.AGAIN:
            return Cause.TROUBLED
        case _:
            about_subject = is_about_subject(status)
            return Cause.DECLINED if about_subject else Cause.MISSING


def refusal(status: int, headers: Mapping[str, str]) -> str:
    """Return a status in words, with the new address of what has moved.

    ``headers`` have lower-case names.
    """
    location = headers.get("location", "") if cause_of(status) is Cause.MOVED else ""
    if not location:
        return f"status {status}"
    return f"status {status}, moved to {shown(location)}"


def delay_s(
    attempt: int, *, draw: float, base_s: float = _BASE_S, cap_s: float = _CAP_S
) -> float:
    """Return the wait before a repetition: exponential, capped, with full jitter.

    ``attempt`` counts from 0; ``draw`` is uniform in [0, 1).
    """
    # The exponent is bounded, else a float overflows after a thousand failures.
    return draw * min(cap_s, base_s * 2.0 ** min(attempt, 32))


def retry_after_s(headers: Mapping[str, str], *, now_ms: int) -> float:
    """Return how long a 429 asks to wait, from 0 to an hour.

    ``headers`` have lower-case names. Without a readable ``retry-after`` the wait is
    until the reset of the limit, but at most a minute: a reset may be that of a day or
    of a month, and one request a minute finds out whether it has come.
    """
    limits = {
        "retry-after": MAX_RETRY_AFTER_S,
        "ratelimit-reset": DEFAULT_RETRY_AFTER_S,
    }
    for name, limit_s in limits.items():
        seconds = _seconds(headers.get(name, ""), now_ms=now_ms)
        if seconds is not None:
            return min(limit_s, max(0.0, seconds))
    return DEFAULT_RETRY_AFTER_S


def _known(status: int) -> bool:
    return status in HTTPStatus._value2member_map_


def _seconds(text: str, *, now_ms: int) -> float | None:
    """Read seconds left, a unix time or an HTTP date."""
    number, now_s = digits(text), now_ms / 1000
    if number is not None:
        return number - now_s if number >= _UNIX_FROM else float(number)
    moment_s = http_date_s(text)
    return None if moment_s is None else moment_s - now_s
