"""A cut through history: of each shard the last commit that belongs to it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

_CUT = re.compile(r"cut:([0-9a-f]{8}):([0-9]{1,15}(?:,[0-9]{1,15})*)")
_MILLIS = re.compile(r"[0-9]{12,15}")
_COMMIT = re.compile(r"[0-9]{1,10}")
_ID_CHARACTERS = 8
# From the year 1 to the year 9999, which is as far as a calendar goes here.
_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999
_MS = 1_000


class NotACut(ValueError):
    """A text names no moment of the log."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text!r} is no moment of the log; give a time as 2026-11-24T14:03:00Z, now, "
            "-5m or 16:15, or a cut as `audit as-of` prints it"
        )


@dataclass(frozen=True, slots=True)
class Cut:
    """Which log it cuts, by the beginning of its id, and the last commit of each shard.

    Commit 0 is before the first.
    """

    log_id: str
    commits: tuple[int, ...]

    def __str__(self) -> str:
        """Say it in the form that ``parse_moment`` reads."""
        commits = ",".join(f"{commit}" for commit in self.commits)
        return f"cut:{self.log_id}:{commits}"


def cut_of(log_id: str, commits: tuple[int, ...]) -> Cut:
    """Return the cut of the log with an identity."""
    return Cut(log_id[:_ID_CHARACTERS], commits)


def parse_moment(text: str) -> Cut | int:
    """Read a cut, or a time in milliseconds; without a zone it is UTC.

    Raises ``NotACut``.
    """
    match = _CUT.fullmatch(text)
    if match is not None:
        return Cut(match[1], tuple(int(commit) for commit in match[2].split(",")))
    time_ms = int(text) if _MILLIS.fullmatch(text) else _iso_ms(text)
    if not _FIRST_MS <= time_ms <= _LAST_MS:
        raise NotACut(text)
    return time_ms


def _iso_ms(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise NotACut(text) from None
    zoned = at if at.tzinfo else at.replace(tzinfo=UTC)
    return round(zoned.timestamp() * _MS)


def parse_bound(text: str) -> "Cut | Commit | int":
    """Read what ``parse_moment`` reads, or the number of a commit."""
    return Commit(int(text)) if _COMMIT.fullmatch(text) else parse_moment(text)


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit by its number, in whatever shard."""

    number: int
