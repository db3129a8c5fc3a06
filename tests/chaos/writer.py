"""The writer of the raw topics as a process of its own, and what it was promised.

It writes the batches of a stream, each when it is due. What the log acknowledged goes
to a file, line by line, and from there its successor goes on. After an unknown outcome
it says the same again, as ingest does.
"""

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TextIO
from zlib import crc32

from app.parent import until_parent_is_gone
from eventlog.port import Entry, EventLog, LogUnavailable
from runtime import logs
from runtime.supervisor import Service, log_failure, supervise
from tests.chaos.stage import open_log
from tests.chaos.stream import BATCH_MS, Stream
from tests.support.history_noise import Raw
from tests.support.logs import Place, now_ms
from tests.support.pipeline import shard_of

_AGAIN_S = 0.2
_shard_of = lru_cache(maxsize=10_000)(shard_of)


class Acknowledged(NamedTuple):
    """A record that the log said it has."""

    topic: str
    shard: int
    offset: int
    crc: int


def crc_of(key: bytes | None, value: bytes | None) -> int:
    """Return what tells a record from others."""
    return crc32(value or b"", crc32(key or b""))


def acknowledged(path: Path) -> Iterator[Acknowledged]:
    """Yield all that was acknowledged."""
    for line in _lines(path):
        for shard, offset, crc in line.get("acks", ()):
            yield Acknowledged(line["topic"], shard, offset, crc)


def next_batch(path: Path) -> int:
    """Return the first batch that was not acknowledged as a whole."""
    return max(
        (line["batch"] + 1 for line in _lines(path) if "acks" not in line), default=0
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with path.open("rb") as opened:
        for line in opened:
            # The last one of a killed writer may be cut off, and its successor begins
            # a new one behind it.
            with suppress(ValueError):
                yield json.loads(line)


class Writer:
    """Writes batch after batch to a log."""

    def __init__(self, log: EventLog, stream: Stream, notes: TextIO) -> None:
        self._log, self._stream, self._notes = log, stream, notes

    async def write(self, number: int) -> None:
        """Write one batch; return when all of it is acknowledged and noted."""
        for topic, entries in _by_topic(self._stream.batch(number)).items():
            offsets = await self._insist(topic, entries)
            acks = [
                (shard, offset, crc_of(entry.key, entry.value))
                for (shard, entry), offset in zip(entries, offsets, strict=True)
            ]
            self._note({"batch": number, "topic": topic, "acks": acks})
        self._note({"batch": number})

    async def _insist(
        self, topic: str, entries: Sequence[tuple[int, Entry]]
    ) -> tuple[int, ...]:
        while True:
            try:
                return await self._log.append(topic, entries)
            except LogUnavailable:
                await asyncio.sleep(_AGAIN_S)

    def _note(self, what: Mapping[str, object]) -> None:
        self._notes.write(json.dumps(what) + "\n")
        self._notes.flush()


def _by_topic(records: Sequence[Raw]) -> dict[str, list[tuple[int, Entry]]]:
    found: dict[str, list[tuple[int, Entry]]] = {}
    for topic, key, value in records:
        found.setdefault(topic, []).append((_shard_of(key), Entry(key, value)))
    return found


async def work(place: Place, stream: Stream, start_ms: int, notes: Path) -> None:
    """Write for ever, from where the one before was; wait for a log that is away."""
    while True:
        try:
            async with open_log(place) as log:
                await _write_on(log, stream, start_ms, notes)
        except LogUnavailable:
            await asyncio.sleep(_AGAIN_S)


async def _write_on(log: EventLog, stream: Stream, start_ms: int, notes: Path) -> None:
    number = next_batch(notes)
    with notes.open("a") as opened:
        opened.write("\n")  # what was cut off stays a line of its own
        writer = Writer(log, stream, opened)
        while True:
            await _until_ms(start_ms + number * BATCH_MS)
            await writer.write(number)
            number += 1


async def _until_ms(due_ms: int) -> None:
    await asyncio.sleep(max(0, due_ms - now_ms()) / 1_000)


def main(kind: str, address: str, prefix: str, *told: str) -> int:
    seed, start_ms, notes = int(told[0]), int(told[1]), Path(told[2])
    logs.configure("writer", human=False)
    stream = Stream(seed, start_ms=start_ms)

    async def run() -> None:
        await work(Place(kind, address, prefix), stream, start_ms, notes)

    services = [Service("parent", until_parent_is_gone), Service("writer", run)]
    return asyncio.run(supervise(services, report=log_failure))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
