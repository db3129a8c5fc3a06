"""Moments as people write them: now, a while ago, a time of today."""

import re
from datetime import UTC, datetime

from runtime.clock import SystemClock

_AGO = re.compile(r"(?:now)?-([0-9]{1,6})([smhd])")
_TIME_OF_DAY = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?")
_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
WORDS = "now, -5m (s, m, h, d), 16:15 (today, UTC)"


def resolved(text: str, now_ms: int) -> str:
    """Return a relative moment in milliseconds; any other text as it is.

    A time of day is of today in UTC, as all times without a zone are.
    """
    if text == "now":
        return f"{now_ms}"
    ago = _AGO.fullmatch(text)
    if ago is not None:
        # Twelve digits at least, which is what a time in milliseconds is known by.
        return f"{max(now_ms - int(ago[1]) * _MS[ago[2]], 0):012}"
    of_day = _TIME_OF_DAY.fullmatch(text)
    if of_day is None:
        return text
    hour, minute, second = (int(part or 0) for part in of_day.groups())
    today = datetime.fromtimestamp(now_ms / 1_000, UTC)
    at = today.replace(hour=hour, minute=minute, second=second, microsecond=0)
    return f"{round(at.timestamp() * 1_000)}"


def moment(text: str) -> str:
    """Return a relative moment of the present in milliseconds; the type of an option."""
    return resolved(text, SystemClock().now_ms())


def is_ago(text: str) -> bool:
    """Tell whether a text is a while ago, which a parser of options takes for one."""
    return text.startswith("-") and _AGO.fullmatch(text) is not None
