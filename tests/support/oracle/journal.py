"""The journal, checked from the bytes alone: what each commit read and wrote, chained."""

import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from operator import attrgetter
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
        self,
        raw: Raw,
        changes: Keyed,
        rejects: Keyed,
        partition: int,
    ) -> None:
        # What the first commit that names the log says; all others must say the same.
        self.log: str | None = None
        self.records = {
            topic: list(raw.get((topic, partition), ())) for topic in TOPICS
        }
        self.written = {"published": list(changes), "rejects": list(rejects)}
        # How many of each were told by the commits so far.
        self.told = dict.fromkeys([*self.records, *self.written], 0)
        self.shard, self.previous, self.log_time = partition, GENESIS, 0
        self.ends: dict[str, int] = {}
        self.decisions: dict[str, int] = {}

    def commit(self, number: int, value: bytes) -> None:
        said = json.loads(value)
        expect(canonical(said) == value, number, "not canonical")
        schema = "commit/1" if said["generation"] == 1 else "commit/2"
        expect(said["schema"] == schema, number, "schema")
        if said["generation"] > 1:
            self.log = self.log or said["log"]
            expect(said["log"] == self.log, number, "log")
        expect(said["commit"] == number, number, f"number {said['commit']}")
        expect(said["shard"] == self.shard, number, f"shard {said['shard']}")
        expect(said["previous"] == self.previous, number, "chain")
        expect(set(said["inputs"]) <= set(TOPICS), number, "unknown topic")
        expect(bool(said["inputs"]), number, "read nothing")
        for topic, stretch in said["inputs"].items():
            self.stretch(number, topic, stretch)
        expect(said["logTime"] == self.log_time, number, "log time")
        for kind in self.written:
            self.output(number, kind, said[kind])
        for decision, count in said["decisions"].items():
            expect(count > 0, number, f"{decision} did not occur")
            self.decisions[decision] = self.decisions.get(decision, 0) + count
        self.previous = sha256(value)

    def stretch(self, number: int, topic: str, said: dict[str, Any]) -> None:
        """Check one input range; its records are told then."""
        start, end = said["start"], said["end"]
        records, first = self.records[topic], self.told[topic]
        expected = self.ends.get(topic, start)
        expect(start == expected, number, f"{topic} starts at {start}, not {expected}")
        last = bisect_left(records, end, lo=first, key=attrgetter("offset"))
        taken = records[first:last]
        expect(bool(taken) and start < end, number, f"{topic}: nothing read")
        expect(taken[0].offset >= start, number, f"{topic}: records left out")
        expect(len(taken) == said["count"], number, f"{topic} count")
        expect(inputs_hash(taken) == said["sha256"], number, f"{topic} hash")
        self.told[topic] = last
        self.ends[topic] = end
        self.log_time = max(self.log_time, *(record.time_ms for record in taken))

    def output(self, number: int, kind: str, said: dict[str, Any]) -> None:
        """Check one kind of output; its records are told then."""
        first = self.told[kind]
        written = self.written[kind][first : first + said["count"]]
        expect(len(written) == said["count"], number, f"{kind} count")
        expect(outputs_hash(written) == said["sha256"], number, f"{kind} hash")
        self.told[kind] = first + len(written)

    def end(self, number: int) -> None:
        records = {
            topic: self._untold(topic, all_) for topic, all_ in self.records.items()
        }
        expect(not any(records.values()), number, f"read by no commit: {records}")
        written = {
            kind: self._untold(kind, all_) for kind, all_ in self.written.items()
        }
        expect(not any(written.values()), number, f"written by no commit: {written}")

    def _untold(self, kind: str, all_of_it: Sequence[Any]) -> int:
        return len(all_of_it) - self.told[kind]


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
