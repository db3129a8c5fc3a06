"""Which parts of an export are finished: so that it goes on where it ended."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from schemas.base import Count, Event, Malformed, Millis, decoder
from schemas.log import LogIdentity
from schemas.topics import DAY_MS


class Part(Event):
    """A finished file: which offsets of a partition it holds, and how many rows."""

    topic: str
    shard: Count
    start: Count
    end: Count
    rows: Count
    size_bytes: Count


class Manifest(Event):
    """Of which log an export is, and its finished parts by their paths in it."""

    schema_: Literal["export/1"] = Field("export/1", alias="schema")
    log: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    parts: dict[str, Part]

    def has(self, path: str, wanted: "Stretch", *, size_bytes: int) -> bool:
        """Tell whether a part is finished and holds just the offsets wanted.

        ``size_bytes`` is that of the file there is.
        """
        part = self.parts.get(path)
        if part is None:
            return False
        held = Stretch(part.topic, part.shard, part.start, part.end)
        return held == wanted and size_bytes == part.size_bytes

    def with_part(self, path: str, part: Part) -> "Manifest":
        """Return the same with another part finished."""
        return self.model_copy(update={"parts": {**self.parts, path: part}})


class Stretch(NamedTuple):
    """Offsets of a partition: ``start`` and all before ``end``."""

    topic: str
    shard: int
    start: int
    end: int


_manifest = decoder(Manifest)


def new_manifest(identity: LogIdentity) -> Manifest:
    """Return the manifest of an export that has no parts yet."""
    return Manifest(log=identity.id, parts={})


def manifest_in(text: bytes) -> Manifest | None:
    """Read a manifest; ``None`` if it is none."""
    said = _manifest(text)
    return None if isinstance(said, Malformed) else said


class Day(NamedTuple):
    """A day in UTC, or as much of it as is wanted: from ``start`` to before ``end``."""

    name: str
    start: Millis
    end: Millis


def days(start_ms: int, end_ms: int) -> Iterator[Day]:
    """Yield the days between two times."""
    first = start_ms - start_ms % DAY_MS
    for begin in range(first, end_ms, DAY_MS):
        name = f"{datetime.fromtimestamp(begin / 1_000, UTC):%Y-%m-%d}"
        yield Day(name, max(begin, start_ms), min(begin + DAY_MS, end_ms))


def path_of(what: str, day: Day, topic: str, shard: int, *, suffix: str) -> str:
    """Return where the part of a partition and a day goes, as query engines expect it."""
    return f"{what}/day={day.name}/part-{topic}-{shard}.{suffix}"
