"""What an operator is told, and what is left to be a bug."""

import re
from ssl import SSLError

import pytest

from app.errors import OperatorError, SettingsError, in_one_line
from audit.core.difference import Check, Difference, DifferenceFound
from eventlog.port import LogCorrupt, LogFull, LogUnavailable, RecordTooLarge
from processor.core.generations import UnknownGeneration
from processor.core.states import UnreadableState


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OperatorError("do this\n  or that"), "do this or that"),
        (SettingsError("no"), "no"),
        (LogUnavailable("kafka://a:1/", why="refused"), "start it or correct"),
        (LogFull("x"), "make room"),
        (LogCorrupt("x", why="not a database"), "cannot be used"),
        (DifferenceFound(Difference(Check.RAW, 1, 2, "prices.raw", "a", "b")), "b"),
        (PermissionError(13, "Permission denied", "x"), "Permission denied"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (SSLError(1, "[SSL: BAD] a bad thing (_ssl.c:12)"), "a bad thing"),
        (UnknownGeneration(9, shard=0, commit=1), "generation 9 of the fold"),
        (UnreadableState(b"x", part=b"", field="key"), "use the version that wrote it"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_trouble_is_one_line(error: Exception, said: str) -> None:
    line = in_one_line(error)
    assert line is not None
    assert said in line
    assert "\n" not in line
    assert not re.search(r"Errno|SSL:|_ssl", line)


@pytest.mark.parametrize(
    "error",
    [KeyError("x"), RecordTooLarge("latest", size_bytes=2, limit_bytes=1)],
    ids=["key error", "record too large"],
)
def test_a_bug_is_not_explained_away(error: Exception) -> None:
    assert in_one_line(error) is None
