"""What must hold where history ends."""

import pytest

from audit.core.difference import Check, DifferenceFound
from audit.core.ends import LatestCheck, check_left_over
from audit.core.table import Row
from eventlog.port import Record

TABLE = {b"price:a": Row(b"1", 3), b"price:b": Row(b"2", 5)}


def latest(key: str, value: str | None, commit: int | None, offset: int = 0) -> Record:
    headers = () if commit is None else (("commit", b"%d" % commit),)
    return Record(offset, 0, key.encode(), value.encode() if value else None, headers)


RIGHT = [latest("price:a", "1", 3), latest("price:b", "2", 5)]


def checked(*records: Record, newest: int = 5) -> LatestCheck:
    check = LatestCheck(TABLE, shard=1, last=5)
    check.read(records)
    check.end(newest)
    return check


def test_the_last_record_of_each_key_counts() -> None:
    assert checked(latest("price:a", "0", 1), *RIGHT).later == 0
    withdrawn = [latest("price:c", "0", 1), latest("price:c", None, 4)]
    assert checked(*RIGHT, *withdrawn).later == 0


def test_what_was_written_since_is_counted() -> None:
    since = [latest("price:a", "9", 6), latest("price:c", "1", 7)]
    assert checked(*RIGHT, *since, newest=7).later == 2


@pytest.mark.parametrize(
    "records",
    [
        pytest.param([RIGHT[0]], id="a key is missing"),
        pytest.param([RIGHT[0], latest("price:b", None, 5)], id="withdrawn"),
        pytest.param([RIGHT[0], latest("price:b", "3", 5)], id="another value"),
        pytest.param([RIGHT[0], latest("price:b", "2", 4)], id="another commit"),
        pytest.param([RIGHT[0], latest("price:b", "2", None)], id="no commit"),
        pytest.param([*RIGHT, latest("price:c", "1", 2)], id="a key too many"),
        pytest.param([*RIGHT, latest("price:c", "1", 6)], id="a commit not there"),
    ],
)
def test_a_table_that_is_not_what_was_published_differs(records: list[Record]) -> None:
    with pytest.raises(DifferenceFound) as found:
        checked(*records)
    assert found.value.difference.check is Check.LATEST


def test_what_no_commit_claims_is_named() -> None:
    for topic, commit in (
        ("changes", 9),
        ("changes", 8),
        ("changes", None),
        ("rejects", None),
    ):
        over = latest("price:a", "1", commit, offset=4)
        with pytest.raises(DifferenceFound, match="journal ends with commit 8") as said:
            check_left_over(topic, over, shard=1, last=8, newest=8)
        assert f"{topic}[1] at offset 4, key price:a" in f"{said.value}"


def test_what_a_commit_that_came_since_claims_is_passed_over() -> None:
    for topic, commit in (("changes", 9), ("changes", 10), ("rejects", None)):
        over = latest("price:a", "1", commit)
        check_left_over(topic, over, shard=1, last=8, newest=10)
