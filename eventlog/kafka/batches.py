"""Entries cut into batches that a topic takes: sizes without the driver."""

from collections.abc import Iterable, Iterator, Sequence

from eventlog.port import Entry, RecordTooLarge

# What a record needs besides key, value and headers, at most: its batch's header (61),
# and its own lengths, attributes, offset and time.
_OVERHEAD_BYTES = 61 + 40
_HEADER_OVERHEAD_BYTES = 10

# Large enough that a commit is one batch a topic, small enough to compress in a few
# milliseconds of the event loop.
BATCH_BYTES = 512 * 1024


def size_bytes(entry: Entry) -> int:
    """Return what the entry needs in a batch of its own, at most; a few bytes less."""
    key, value, headers = entry
    size = _OVERHEAD_BYTES
    if key is not None:
        size += len(key)
    if value is not None:
        size += len(value)
    for name, content in headers:
        size += _HEADER_OVERHEAD_BYTES + len(name.encode()) + len(content)
    return size


def cut(
    topic: str, entries: Sequence[Entry], *, limit_bytes: int
) -> Iterator[Sequence[Entry]]:
    """Yield the entries in order, in batches of at most ``BATCH_BYTES`` or one entry.

    Raises ``RecordTooLarge`` for an entry above ``limit_bytes``, when it gets there: cut
    all before sending any. Sizes are upper bounds, so an entry within about 100 bytes
    of the limit is refused although the broker would take it.
    """
    room = min(BATCH_BYTES, limit_bytes)
    start, used = 0, 0
    for at, entry in enumerate(entries):
        size = size_bytes(entry)
        if used + size > room:
            if size > limit_bytes:
                raise RecordTooLarge(topic, size_bytes=size, limit_bytes=limit_bytes)
            if used:
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
