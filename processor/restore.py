"""The state of a shard read back from ``state``, up to the barrier of its new owner."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from eventlog.port import Entry, EventLog, Fenced, Partition, Reader, ShardWriter
from processor.core.observed import never_observed
from processor.core.shard_state import ShardState
from processor.core.states import ITSELF, UnreadableState
from runtime.crash import OnStep, no_step
from schemas.base import Malformed, decoder, encode
from schemas.journal import Barrier
from schemas.log import Observed, Terms
from schemas.states import (
    BARRIER_KEY,
    LATEST_BOUNDS_KEY,
    OBSERVED_KEY,
    TERMS_KEY,
    LatestBounds,
)
from schemas.topics import STATE

logger = logging.getLogger(__name__)

# Told how many records were read so far, and how many percent of the way that is.
Progress = Callable[[int, int], None]
_BATCH, _REPORT_EVERY = 2_000, 100_000
# Notes of earlier owners about the shard itself; no fold reads them.
_NOTES: Mapping[bytes, Callable[[bytes], Any]] = {
    OBSERVED_KEY: decoder(Observed),
    TERMS_KEY: decoder(Terms),
    LATEST_BOUNDS_KEY: decoder(LatestBounds),
}


class Restored:
    """The state of one shard and how far it follows ``state``; outlives its owners.

    ``progress`` is told now and then how far it is, ``on_step`` each step.
    """

    def __init__(
        self, shard: int, *, progress: Progress, on_step: OnStep = no_step
    ) -> None:
        self.state = ShardState(shard)
        self._partition = Partition(STATE, shard)
        # When the log took the last barrier of ours.
        self.barrier_ms = 0
        self._read_to: int | None = None
        self._notes: dict[bytes, Any] = {}
        self._progress, self._on_step = progress, on_step

    @property
    def terms(self) -> Terms | None:
        """The terms of the shard, as its last owner noted them; ``None`` before the first."""
        return self._notes.get(TERMS_KEY)

    @property
    def observed(self) -> Observed:
        """The newest observation times, of all that was ever committed."""
        return self._notes.get(OBSERVED_KEY) or never_observed(self.state.shard)

    @property
    def bounds(self) -> LatestBounds | None:
        """The offsets of ``latest`` as the last owner noted them, if one did."""
        return self._notes.get(LATEST_BOUNDS_KEY)

    async def catch_up(self, log: EventLog, writer: ShardWriter, owner: str) -> int:
        """Read all that earlier owners committed; return how many records.

        The barrier tells where that ends: the end of a partition may be a hole that no
        reader reaches. Whatever this reads again is what the state says already, or newer.
        Raises ``Fenced`` if another owner came since.
        """
        # What is written by a dead owner under our name is not ours.
        barrier = encode(Barrier(owner=f"{owner}/{uuid4().hex}"))
        await writer.commit({STATE: [Entry(BARRIER_KEY, barrier)]})
        self._on_step("barrier-made")
        at = self._partition
        start = self._read_to
        if start is None:
            start = (await log.oldest([at]))[at]
        end = (await log.ends([at]))[at]
        async with log.reader({at: start}) as reader:
            return await self._read(reader, barrier, end=end)

    async def _read(self, reader: Reader, barrier: bytes, *, end: int) -> int:
        count = reported = 0
        start = reader.position(self._partition)
        while True:
            if reader.position(self._partition) >= end:
                # A newer owner's barrier has replaced ours.
                raise Fenced(self.state.shard)
            batches = await reader.read(max_records=_BATCH, wait_s=1.0)
            self._on_step("state-read")
            for record in batches.get(self._partition, ()):
                if record.key == BARRIER_KEY and record.value == barrier:
                    self._read_to, self.barrier_ms = record.offset + 1, record.time_ms
                    return count
                self._load(record.key or b"", record.value)
                count += 1
            if count - reported >= _REPORT_EVERY:
                reported = count
                # By offsets: how many records compaction left nobody knows before.
                done = reader.position(self._partition) - start
                self._report(count, percent=100 * done // (end - start))
            # A reader that has fetched far ahead gives nobody else a turn.
            await asyncio.sleep(0)

    def _load(self, key: bytes, value: bytes | None) -> None:
        read = _NOTES.get(key)
        if read is None:
            self.state.load(key, value)
            return
        if value is None:
            self._notes.pop(key, None)
            return
        note = read(value)
        if isinstance(note, Malformed):
            raise UnreadableState(key, part=ITSELF, field=note.field)
        self._notes[key] = note

    def _report(self, count: int, *, percent: int) -> None:
        logger.info(
            "restoring",
            extra={"shard": self.state.shard, "records": count, "percent": percent},
        )
        self._progress(count, percent)
