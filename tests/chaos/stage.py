"""Where a run takes place: its log, how it is opened, and the limits it goes by."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from eventlog.port import EventLog, Partition
from tests.support.logs import PARTITIONS, Place, open_at

SHARDS = range(PARTITIONS)
PREFIX = "chaos."


@dataclass(frozen=True, slots=True)
class Stage:
    """``near`` is the log as it is; ``far`` as the processors reach it."""

    folder: Path
    near: Place
    far: Place


def open_log(place: Place) -> AbstractAsyncContextManager[EventLog]:
    """Open a log with limits so short that a run of a minute meets all of them."""
    if place.kind != "kafka":
        return open_at(place)
    from eventlog.kafka import KafkaConfig, open_kafka  # noqa: PLC0415 - only where a broker is

    config = KafkaConfig(
        bootstrap=place.address,
        prefix=place.prefix,
        transaction_timeout_ms=10_000,
        session_timeout_ms=3_000,
        open_limit_s=8.0,
        request_limit_s=5.0,
        commit_limit_s=6.0,
        silence_limit_s=5.0,
        stop_limit_s=2.0,
    )
    return open_kafka(config)


def partitions(*topics: str) -> list[Partition]:
    """Return every partition of some topics."""
    return [Partition(topic, shard) for topic in topics for shard in SHARDS]
