# mypy: allow-untyped-calls
"""Cutting entries into batches: nothing is lost, nothing is too large."""

from functools import partial

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from eventlog.kafka.batches import BATCH_BYTES, Batch, by_partition, cut
from eventlog.port import Entry, Partition, RecordTooLarge

LIMIT = 1_000
PARTITION = Partition("topic", 3)
short = st.binary(max_size=300) | st.none()
headers = st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=20)), max_size=3)
entry = st.builds(Entry, short, short, headers)

# An empty batch as a producer of ours makes it, but not compressed.
create_batch = partial(BatchBuilder, BATCH_BYTES, 0, is_transactional=1)


def batches_of(entries: list[Entry], *, limit_bytes: int = LIMIT) -> list[Batch]:
    return list(cut(create_batch, PARTITION, entries, limit_bytes=limit_bytes))


@given(st.lists(entry, max_size=30))
def test_the_batches_are_the_entries_in_order(entries: list[Entry]) -> None:
    batches = batches_of(entries)
    assert [e for batch in batches for e in batch.entries] == entries
    assert all(batch.partition == PARTITION for batch in batches)


@given(st.lists(entry, max_size=30))
def test_a_batch_is_made_of_its_entries_and_no_more(entries: list[Entry]) -> None:
    for batch in batches_of(entries):
        assert batch.built.record_count() == len(batch.entries) > 0
        assert batch.built.closed()


@given(st.lists(entry, max_size=30))
def test_no_batch_is_above_what_the_topic_takes(entries: list[Entry]) -> None:
    for batch in batches_of(entries):
        assert len(batch.built._build()) <= LIMIT


def test_an_entry_above_the_limit_is_refused_with_both_sizes() -> None:
    small, huge = Entry(b"k", b"v"), Entry(b"k", b"v" * LIMIT)
    with pytest.raises(RecordTooLarge) as caught:
        batches_of([small, huge, small])
    assert caught.value.topic == "topic"
    assert caught.value.size_bytes > caught.value.limit_bytes == LIMIT


def test_the_largest_entry_that_is_taken_fills_a_batch_to_the_byte() -> None:
    (alone,) = batches_of([Entry(b"k", b"v" * 800)])
    largest = Entry(b"k", b"v" * (800 + LIMIT - alone.built.size()))
    assert [b.built.size() for b in batches_of([largest, largest])] == [LIMIT, LIMIT]
    with pytest.raises(RecordTooLarge):
        batches_of([Entry(b"k", (largest.value or b"") + b"v")])


def test_what_fits_one_batch_is_one_batch() -> None:
    entries = [Entry(b"k" * 30, b"v" * 160)] * 2_500
    (batch,) = batches_of(entries, limit_bytes=BATCH_BYTES)
    assert batch.entries == entries


def test_what_does_not_fit_one_batch_fills_one_after_the_other() -> None:
    entries = [Entry(b"k" * 30, b"v" * 160)] * 12_000
    batches = batches_of(entries, limit_bytes=BATCH_BYTES)
    assert [e for batch in batches for e in batch.entries] == entries
    assert all(batch.built.size() > BATCH_BYTES - 250 for batch in batches[:-1])


def test_entries_are_grouped_by_partition_in_order() -> None:
    a, b, c = (Entry(None, text) for text in (b"a", b"b", b"c"))
    assert by_partition([(1, a), (0, b), (1, c)]) == {1: [a, c], 0: [b]}
