# mypy: allow-untyped-calls
"""Entries put into the driver's batches, in pieces that a topic takes."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from aiokafka.producer.message_accumulator import BatchBuilder

from eventlog.port import (
    MAX_RECORD_BYTES,
    Entry,
    Partition,
    RecordTooLarge,
    record_bytes,
)

# Large enough that a commit is a batch or two a topic (each waits for the answer to the
# one before), small enough to compress in two milliseconds of the event loop. From some
# 970 KB on glibc returns the memory after each batch and fetches it again for the next:
# 600 page faults, a third of what `benchmarks logs` counts for an append.
BATCH_BYTES = 800 * 1024

_NO_HEADERS: list[tuple[str, bytes]] = []


class Batch(NamedTuple):
    """Entries that go to one partition as one batch, and the driver's form of them."""

    partition: Partition
    entries: Sequence[Entry]
    built: BatchBuilder


def cut(
    create_batch: Callable[[], BatchBuilder],
    partition: Partition,
    entries: Sequence[Entry],
    *,
    limit_bytes: int,
) -> Iterator[Batch]:
    """Yield the entries in order, in batches that the topic takes.

    ``create_batch`` returns an empty batch for at most ``BATCH_BYTES``. Raises
    ``RecordTooLarge`` for an entry that is above ``MAX_RECORD_BYTES``, or above
    ``limit_bytes`` as a batch of its own, when it gets there: cut all before sending any.
    """
    start, most = 0, len(entries)
    while start < len(entries):
        piece = entries[start : start + most]
        built = create_batch()
        # The driver stops where it is full: sizes of our own would be taken twice.
        count = _fill(built, piece)
        size_bytes = built.size()
        if count == 1:
            # Several records never fill a batch up to the limit of one record.
            _check_size(partition.topic, piece[0])
        if size_bytes <= limit_bytes:
            yield Batch(partition, piece[:count], built)
            start, most = start + count, 2 * count
        elif count > 1:
            most = count // 2
        else:
            raise RecordTooLarge(
                partition.topic, size_bytes=size_bytes, limit_bytes=limit_bytes
            )


def _check_size(topic: str, entry: Entry) -> None:
    size_bytes = record_bytes(entry)
    if size_bytes > MAX_RECORD_BYTES:
        raise RecordTooLarge(topic, size_bytes=size_bytes, limit_bytes=MAX_RECORD_BYTES)


def _fill(built: BatchBuilder, entries: Iterable[Entry]) -> int:
    """Append entries until the batch is full; return how many it has taken."""
    append = built.append
    for key, value, headers in entries:
        # The driver's builder takes headers as a list only.
        pairs = list(headers) if headers else _NO_HEADERS
        if append(timestamp=None, key=key, value=value, headers=pairs) is None:
            break
    built.close()
    return int(built.record_count())


def by_partition(entries: Iterable[tuple[int, Entry]]) -> Mapping[int, list[Entry]]:
    """Group entries by the partition named with each, in the order given."""
    groups: defaultdict[int, list[Entry]] = defaultdict(list)
    # Nothing is made for each entry: what lives on is walked by the garbage collector.
    for number, entry in entries:
        groups[number].append(entry)
    return groups
