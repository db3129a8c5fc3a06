"""Entries cut into batches that a topic takes: sizes without the driver."""

from collections.abc import Iterable, Iterator, Sequence

from eventlog.port import Entry, RecordTooLarge

# The head of a batch, and what a record needs in it besides key, value and headers, at
# most: its lengths, attributes, offset and time.
_HEAD_BYTES = 61
_OVERHEAD_BYTES = 36
_HEADER_OVERHEAD_BYTES = 10

# Large enough that a commit is one batch a topic (a second one waits for the answer to
# the first), small enough to compress in two milliseconds of the event loop.
BATCH_BYTES = 1024 * 1024


def size_bytes(entry: Entry) -> int:
    """Return what the entry needs in a batch, at most; usually some 25 bytes less."""
    key, value, headers = entry
    size = _OVERHEAD_BYTES + len(key or b"") + len(value or b"")
    for name, content in headers:
        size += _HEADER_OVERHEAD_BYTES + len(name.encode()) + len(content)
    return size


def cut(
    topic: str, entries: Sequence[Entry], *, limit_bytes: int
) -> Iterator[Sequence[Entry]]:
    """Yield the entries in order, in batches that the topic takes.

    Raises ``RecordTooLarge`` for an entry above ``limit_bytes``, when it gets there: cut
    all before sending any. Sizes are upper bounds, so an entry within 36 bytes of the
    limit is refused although the broker might take it.
    """
    room = min(BATCH_BYTES, limit_bytes) - _HEAD_BYTES
    # The hot path of a commit: no call a record unless it has headers.
    sizes = [
        size_bytes(entry)
        if entry[2]
        else _OVERHEAD_BYTES + len(entry[0] or b"") + len(entry[1] or b"")
        for entry in entries
    ]
    if entries and sum(sizes) <= room:
        yield entries
        return
    start, used = 0, 0
    for at, size in enumerate(sizes):
        if size > limit_bytes - _HEAD_BYTES:
            raise RecordTooLarge(
                topic, size_bytes=size + _HEAD_BYTES, limit_bytes=limit_bytes
            )
        if used and used + size > room:
            yield entries[start:at]
            start, used = at, 0
        used += size
    if used:
        yield entries[start:]


def by_partition(
    entries: Iterable[tuple[int, Entry]],
) -> dict[int, list[tuple[int, Entry]]]:
    """Group entries by partition, each with its place in the request."""
    groups: dict[int, list[tuple[int, Entry]]] = {}
    for at, (partition, entry) in enumerate(entries):
        groups.setdefault(partition, []).append((at, entry))
    return groups
