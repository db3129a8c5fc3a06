"""Cutting entries into batches: nothing is lost, nothing is too large."""

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from eventlog.kafka.batches import BATCH_BYTES, by_partition, cut, size_bytes
from eventlog.port import Entry, RecordTooLarge

LIMIT = 1_000
short = st.binary(max_size=300) | st.none()
headers = st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=20)), max_size=3)
entry = st.builds(Entry, short, short, headers)


def built_bytes(entries: list[Entry]) -> int:
    """The size of the batch that the driver makes of the entries."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=1,
        producer_id=1,
        producer_epoch=1,
        base_sequence=0,
        batch_size=BATCH_BYTES,
    )
    for offset, (key, value, pairs) in enumerate(entries):
        added = builder.append(
            offset, timestamp=None, key=key, value=value, headers=list(pairs)
        )
        assert added is not None
    return len(builder.build())


@given(st.lists(entry, max_size=30))
def test_the_batches_are_the_entries_in_order(entries: list[Entry]) -> None:
    batches = list(cut("topic", entries, limit_bytes=LIMIT))
    assert [e for batch in batches for e in batch] == entries
    assert all(batches)


@given(st.lists(entry, max_size=30))
def test_no_batch_is_above_what_the_topic_takes(entries: list[Entry]) -> None:
    for batch in cut("topic", entries, limit_bytes=LIMIT):
        assert built_bytes(list(batch)) <= LIMIT


@given(entry)
def test_the_size_is_an_upper_bound_and_close(entry: Entry) -> None:
    exact = built_bytes([entry]) - built_bytes([])
    spare = 36 + 10 * len(entry.headers)
    assert exact <= size_bytes(entry) <= exact + spare


def test_an_entry_above_the_limit_is_refused_with_both_sizes() -> None:
    small, huge = Entry(b"k", b"v"), Entry(b"k", b"v" * LIMIT)
    with pytest.raises(RecordTooLarge) as caught:
        list(cut("topic", [small, huge], limit_bytes=LIMIT))
    assert caught.value.size_bytes > caught.value.limit_bytes == LIMIT


def test_what_fits_one_batch_is_one_batch() -> None:
    entries = [Entry(b"k" * 30, b"v" * 160)] * 2_500
    assert [len(b) for b in cut("topic", entries, limit_bytes=1_048_576)] == [2_500]


def test_entries_are_grouped_by_partition_with_their_places() -> None:
    a, b, c = (Entry(None, text) for text in (b"a", b"b", b"c"))
    groups = by_partition([(1, a), (0, b), (1, c)])
    assert groups == {1: [(0, a), (2, c)], 0: [(1, b)]}
