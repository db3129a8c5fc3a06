"""The journal, checked from the bytes alone: what each commit read and wrote, chained."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from tests.support.oracle.derive import TOPICS, Raw, RawRecord
from tests.support.oracle.text import canonical, sha256

Keyed = Sequence[tuple[bytes | None, bytes | None]]
GENESIS = "0" * 64


class JournalWrong(AssertionError):
    """A journal record does not say what stands in the log."""


def verify_journal(
    journal: Sequence[bytes],
    raw: Raw,
    changes: Keyed,
    rejects: Keyed,
    *,
    partition: int,
    settings: dict[str, Any] | None = None,
) -> dict[str, int]:
    """Check the journal of one shard, the values in their order; return the decisions.

    Raises ``JournalWrong`` naming the first commit that is wrong and what is wrong with
    it. Everything read and written must be told by some commit, and by one only.
    """
    checker = Checker(raw, changes, rejects, partition)
    for number, value in enumerate(journal, start=1):
        checker.commit(number, value)
        if settings is not None:
            said = json.loads(value)["settings"]
            expect(said == settings, number, f"settings {said}")
    checker.end(len(journal))
    return checker.decisions


class Checker:
    """How far the journal has been followed."""

    def __init__(
        self, raw: Raw, changes: Keyed, rejects: Keyed, partition: int
    ) -> None:
        self.records = {
            topic: list(raw.get((topic, partition), ())) for topic in TOPICS
        }
        self.written = {"published": list(changes), "rejects": list(rejects)}
        self.shard, self.previous, self.log_time = partition, GENESIS, 0
        self.ends: dict[str, int] = {}
        self.decisions: dict[str, int] = {}

    def commit(self, number: int, value: bytes) -> None:
        said = json.loads(value)
        expect(canonical(said) == value, number, "not canonical")
        expect(said["schema"] == "commit/1", number, "schema")
        expect(said["commit"] == number, number, f"number {said['commit']}")
        expect(said["shard"] == self.shard, number, f"shard {said['shard']}")
        expect(said["previous"] == self.previous, number, "chain")
        expect(set(said["inputs"]) <= set(TOPICS), number, "unknown topic")
        expect(bool(said["inputs"]), number, "read nothing")
        for topic, stretch in said["inputs"].items():
            self.stretch(number, topic, stretch)
        expect(said["logTime"] == self.log_time, number, "log time")
        for kind, written in self.written.items():
            self.output(number, kind, written, said[kind])
        for decision, count in said["decisions"].items():
            expect(count > 0, number, f"{decision} did not occur")
            self.decisions[decision] = self.decisions.get(decision, 0) + count
        self.previous = sha256(value)

    def stretch(self, number: int, topic: str, said: dict[str, Any]) -> None:
        """Check one input range, and take its records away."""
        start, end = said["start"], said["end"]
        left = self.records[topic]
        expected = self.ends.get(topic, start)
        expect(start == expected, number, f"{topic} starts at {start}, not {expected}")
        taken = [record for record in left if start <= record.offset < end]
        expect(bool(taken) and start < end, number, f"{topic}: nothing read")
        expect(taken == left[: len(taken)], number, f"{topic}: records left out")
        expect(len(taken) == said["count"], number, f"{topic} count")
        expect(inputs_hash(taken) == said["sha256"], number, f"{topic} hash")
        self.records[topic] = left[len(taken) :]
        self.ends[topic] = end
        self.log_time = max(self.log_time, *(record.time_ms for record in taken))

    def output(
        self,
        number: int,
        kind: str,
        written: list[tuple[bytes | None, bytes | None]],
        said: dict[str, Any],
    ) -> None:
        """Check one kind of output, and take its records away."""
        count = said["count"]
        expect(count <= len(written), number, f"{kind} count")
        expect(outputs_hash(written[:count]) == said["sha256"], number, f"{kind} hash")
        del written[:count]

    def end(self, number: int) -> None:
        left = {topic: len(records) for topic, records in self.records.items()}
        expect(not any(left.values()), number, f"read by no commit: {left}")
        untold = {kind: len(records) for kind, records in self.written.items()}
        expect(not any(untold.values()), number, f"written by no commit: {untold}")


def expect(holds: bool, number: int, what: str) -> None:
    if not holds:
        raise JournalWrong(f"commit {number}: {what}")


def inputs_hash(records: Iterable[RawRecord]) -> str:
    """Return the hash over a stretch of input as ``InputRange`` defines it."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(record.offset.to_bytes(8, "big"))
        digest.update(record.time_ms.to_bytes(8, "big"))
        digest.update(framed(record.key) + framed(record.value))
    return digest.hexdigest()


def outputs_hash(records: Keyed) -> str:
    """Return the hash over outputs as ``OutputDigest`` defines it."""
    digest = hashlib.sha256()
    for key, value in records:
        digest.update(framed(key) + framed(value))
    return digest.hexdigest()


def framed(data: bytes | None) -> bytes:
    return b"\xff" * 4 if data is None else len(data).to_bytes(4, "big") + data
