"""Ingest at a log of the processor's, and what it says when the log has taken something."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, cast

from eventlog.port import Entry, EventLog
from ingest.service import run
from runtime.clock import SystemClock
from runtime.crash import OnStep, no_step
from tests.support.ingesting import config_for, no_jitter
from tests.support.logs import PARTITIONS


async def ingest(
    log: EventLog, url: str, instance: str, on_step: OnStep = no_step
) -> None:
    """Run ingest's service against the simulator at ``url``, one append a reply."""
    config = replace(
        config_for(url), instance=instance, batch_records=1, on_step=on_step
    )
    await run(log, config, partitions=PARTITIONS, clock=SystemClock(), draw=no_jitter)


class Saying:
    """A real log that says on stdout what it has taken, before whoever brought it knows."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def as_log(self) -> EventLog:
        return cast("EventLog", self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def append(
        self, topic: str, entries: Sequence[tuple[int, Entry]]
    ) -> tuple[int, ...]:
        offsets = await self._log.append(topic, entries)
        lines = [f"{mark(topic, key, value)}\n" for _, (key, value, _) in entries]
        sys.stdout.write("".join(lines))
        sys.stdout.flush()
        return offsets


def mark(topic: str, key: bytes | None, value: bytes | None) -> str:
    """Return what an append is called on stdout."""
    return sha256(repr((topic, key, value)).encode()).hexdigest()
