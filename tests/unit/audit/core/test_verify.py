"""The verifier alone: one commit after the other, without a log."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from audit.core.commits import CommitRead, LogRecord
from audit.core.difference import Check, Difference, DifferenceFound
from audit.core.table import new_standing
from audit.core.verify import Verifier
from eventlog.port import Record
from processor.core.generations import GENERATIONS, UnknownGeneration
from schemas.base import encode
from schemas.topics import CHANGES, JOURNAL, LATEST, PRICES_RAW, RAW
from tests.support.audited import SHARD, Writing, a_history, observations, reads
from tests.support.list_log import ListLog


def checked(reads: Sequence[CommitRead], **how: Any) -> Verifier:
    verifier = Verifier(new_standing(SHARD), GENERATIONS, **how)
    for read in reads:
        verifier.check(read)
    return verifier


def found_in(reads: Sequence[CommitRead], **how: Any) -> Difference:
    with pytest.raises(DifferenceFound) as found:
        checked(reads, **how)
    return found.value.difference


def test_it_stands_where_the_shard_stood() -> None:
    log = a_history()
    verifier = checked(list(reads(log)))
    latest = {record.key: record.value for record in log.of(LATEST, SHARD)}
    held = {key: value for key, value in latest.items() if value is not None}
    table = verifier.standing.table
    assert {key: row.value for key, row in table.items()} == held
    assert verifier.commit == len(log.of(JOURNAL, SHARD))
    assert verifier.standing.observations == sum(len(log.of(t, SHARD)) for t in RAW)


def with_listed_headers(said: LogRecord) -> Record:
    headers = list(said.headers)
    return Record(said.offset, said.time_ms, said.key, said.value, headers)


def test_a_log_may_hand_over_headers_as_any_sequence() -> None:
    history = [
        replace(read, changes=[with_listed_headers(one) for one in read.changes])
        for read in reads(a_history())
    ]
    assert checked(history).commit == len(history)


def with_a_gap() -> list[CommitRead]:
    """A history in which retention passed a shard, and the operator accepted it."""
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    seen = [one for one in observations() if one[0] == PRICES_RAW]
    writing.observe(seen[:10])
    writing.fold()
    writing.observe(seen[10:20])
    writing.state.read_on({PRICES_RAW: 15})
    writing.fold()
    return list(reads(log))


def test_a_gap_is_a_difference_unless_it_was_accepted() -> None:
    gap = with_a_gap()
    found = found_in(gap)
    assert found.check is Check.RANGE
    assert (found.expected, found.found) == ("start 10", "15")
    name = f"{PRICES_RAW}[{SHARD}]@10"
    assert checked(gap, accepted=frozenset({name})).commit == len(gap)
    assert found_in(gap, accepted=frozenset({f"{name}0"})) == found


def saying(read: CommitRead, **changed: Any) -> CommitRead:
    """Return a commit that says something else, in a record that nothing follows."""
    said = read.said.model_copy(update=changed)
    record = Record(read.record.offset, 0, read.record.key, encode(said))
    return replace(read, said=said, record=record, following=None)


def first_with(**stretch: Any) -> CommitRead:
    """Return the first commit with another range."""
    first = next(reads(a_history()))
    ((topic, said),) = first.said.inputs.items()
    return saying(first, inputs={topic: said.model_copy(update=stretch)})


def test_a_record_before_the_range_is_none_of_it() -> None:
    assert "the first record at 1 or later" in f"{found_in([first_with(start=1)])}"


def test_a_range_of_nothing_is_none() -> None:
    empty = first_with(count=0)
    empty = replace(empty, inputs=[(topic, []) for topic, _ in empty.inputs])
    assert "found nothing" in f"{found_in([empty])}"


def test_a_fold_that_is_not_known_is_said_with_its_commit() -> None:
    first = saying(next(reads(a_history())), generation=7)
    with pytest.raises(UnknownGeneration, match=r"commit 1 of shard 1 .* generation 7"):
        checked([first])


def test_what_follows_and_cannot_be_read_vouches_for_nothing() -> None:
    first = next(reads(a_history()))
    odd = Record(1, 0, b"1", b"nonsense")
    assert checked([replace(first, following=odd)]).commit == 1


def test_a_raw_record_that_changed_an_output_is_told_with_it() -> None:
    log = a_history()
    records = log.of(PRICES_RAW, SHARD)
    value = (records[0].value or b"").replace(b"1.11", b"1.12")
    records[0] = records[0]._replace(value=value)
    found = found_in(list(reads(log)))
    assert found.check is Check.RAW
    assert "the first change that is another: changes at 0, price:" in found.hint
    assert log.of(CHANGES, SHARD)[0].key == (found.hint.split(", ")[1]).encode()
