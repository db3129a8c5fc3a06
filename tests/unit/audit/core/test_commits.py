"""What a journal record, a change and a reject say of where they belong."""

import pytest

from audit.core.commits import commit_of, is_within, origin_of, read_commit
from audit.core.difference import DifferenceFound
from eventlog.port import Record
from schemas.journal import Origin
from schemas.topics import JOURNAL, PRICES_RAW, REJECTS
from tests.support.audited import SHARD, a_history


def test_a_journal_record_says_its_commit() -> None:
    record = a_history().of(JOURNAL, SHARD)[2]
    assert read_commit(record, shard=SHARD).commit == 3


def test_one_that_cannot_be_read_is_a_difference_at_its_offset() -> None:
    with pytest.raises(DifferenceFound, match=r"at offset 7: .* cannot be read"):
        read_commit(Record(7, 0, b"1", None), shard=1)


def test_a_change_says_its_commit_in_a_header() -> None:
    def of(*headers: tuple[str, bytes]) -> int | None:
        return commit_of(Record(0, 0, b"", b"", headers))

    assert of(("other", b"1"), ("commit", b"12")) == 12
    assert of() is None
    assert of(("commit", b"twelve")) is None


def test_a_reject_belongs_to_the_commit_that_read_what_was_refused() -> None:
    log = a_history()
    reject = log.of(REJECTS, SHARD)[0]
    origin = origin_of(reject)
    commits = [read_commit(record, shard=SHARD) for record in log.of(JOURNAL, SHARD)]
    assert sum(is_within(origin, said) for said in commits) == 1
    assert not is_within(None, commits[0])
    end = commits[0].inputs[PRICES_RAW].end
    assert not is_within(Origin(PRICES_RAW, SHARD, end), commits[0])
    assert not is_within(Origin("other", SHARD, 0), commits[0])
    assert origin_of(Record(0, 0, b"", b"nonsense")) is None
