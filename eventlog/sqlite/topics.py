"""Topics in the file: creating them, describing them, finding their partitions."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from eventlog.port import (
    Cleanup,
    Drift,
    Partition,
    TopicSpec,
    TopicState,
    UnknownTopic,
)

from .values import PLACE, require_counts


class Bounds(NamedTuple):
    """Where a partition begins and ends now."""

    oldest: int
    end: int


def create(db: sqlite3.Connection, specs: Sequence[TopicSpec]) -> tuple[str, ...]:
    """Create the topics that do not exist; return their names."""
    return tuple(spec.name for spec in specs if _create_one(db, spec))


def _create_one(db: sqlite3.Connection, spec: TopicSpec) -> bool:
    row = (spec.name, spec.partitions, *spec.cleanup)
    created = db.execute(
        "INSERT INTO topics (name, partitions, compact, retention_ms, tombstones_ms)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING RETURNING id",
        row,
    ).fetchall()
    for (topic,) in created:
        db.executemany(
            "INSERT INTO partitions (topic, number) VALUES (?, ?)",
            [(topic, number) for number in range(spec.partitions)],
        )
    return bool(created)


def describe(
    db: sqlite3.Connection, specs: Sequence[TopicSpec]
) -> tuple[TopicState, ...]:
    """Return those topics that exist, each with its drift."""
    found = {
        name: (partitions, Cleanup(bool(compact), retention_ms, tombstones_ms))
        for name, partitions, compact, retention_ms, tombstones_ms in db.execute(
            "SELECT name, partitions, compact, retention_ms, tombstones_ms FROM topics"
        )
    }
    return tuple(
        _state(spec, *found[spec.name]) for spec in specs if spec.name in found
    )


def _state(spec: TopicSpec, partitions: int, cleanup: Cleanup) -> TopicState:
    drift = drift_of(spec, partitions, cleanup)
    return TopicState(spec.name, partitions, drift, cleanup.retention_ms)


def drift_of(spec: TopicSpec, partitions: int, cleanup: Cleanup) -> tuple[Drift, ...]:
    """Return how a topic that was found differs from its spec."""
    wanted = _settings(spec.partitions, spec.cleanup)
    found = _settings(partitions, cleanup)
    return tuple(
        Drift(spec.name, setting, wanted[setting], found[setting])
        for setting in wanted
        if wanted[setting] != found[setting]
    )


def _settings(partitions: int, cleanup: Cleanup) -> dict[str, str]:
    """Return a topic's settings under the names that a broker gives them."""
    policies = ["compact"] * cleanup.compact
    if cleanup.retention_ms is not None or not cleanup.compact:
        policies.append("delete")
    kept_ms = -1 if cleanup.retention_ms is None else cleanup.retention_ms
    return {
        "partitions": str(partitions),
        "cleanup.policy": ",".join(policies),
        "retention.ms": str(kept_ms),
    }


class PartitionIds:
    """Knows the ids of partitions; topics never change, so it asks once."""

    def __init__(self) -> None:
        self._known: dict[Partition, int] = {}

    def get(self, db: sqlite3.Connection, partition: Partition) -> int:
        """Return the id of a partition; raises ``UnknownTopic``."""
        found = self._known.get(partition)
        if found is None:
            self._learn(db)
            found = self._known.get(partition)
        if found is None:
            raise UnknownTopic(partition.topic)
        return found

    def map(
        self, db: sqlite3.Connection, partitions: Iterable[Partition]
    ) -> dict[Partition, int]:
        """Return the ids of all these partitions; raises ``UnknownTopic``."""
        return {partition: self.get(db, partition) for partition in partitions}

    def _learn(self, db: sqlite3.Connection) -> None:
        rows = db.execute(
            "SELECT t.name, p.number, p.id FROM partitions p JOIN topics t"
            " ON t.id = p.topic"
        )
        self._known = {Partition(name, number): found for name, number, found in rows}


def bounds(db: sqlite3.Connection, partition_id: int) -> Bounds:
    """Return where a partition begins and ends."""
    row: tuple[int, int] = db.execute(
        "SELECT oldest, next FROM partitions WHERE id = ?", (partition_id,)
    ).fetchone()
    require_counts(row, PLACE)
    return Bounds(*row)
