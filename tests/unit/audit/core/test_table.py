"""The table as changes leave it."""

from audit.core.table import Row, Table, new_standing, put, replay
from eventlog.port import Record


def change(key: str, value: str | None, commit: int | None) -> Record:
    headers = () if commit is None else (("commit", b"%d" % commit),)
    return Record(0, 0, key.encode(), value.encode() if value else None, headers)


def test_the_last_value_of_a_key_stands_with_its_commit() -> None:
    table: Table = {}
    put(table, b"a", b"1", commit=1)
    put(table, b"b", b"1", commit=1)
    put(table, b"a", b"2", commit=2)
    put(table, b"b", None, commit=3)
    put(table, b"c", None, commit=3)
    assert table == {b"a": Row(b"2", 2)}


def test_a_replay_ends_before_the_first_change_of_a_later_commit() -> None:
    table: Table = {}
    changes = [change("a", "1", 1), change("a", "2", 2), change("b", "3", 3)]
    assert not replay(table, changes[:1], last=2)
    assert replay(table, changes, last=2)
    assert table == {b"a": Row(b"2", 2)}


def test_a_change_that_names_no_commit_is_of_none() -> None:
    table: Table = {}
    assert replay(table, [change("a", "1", None)], last=9)
    odd = Record(0, 0, b"a", b"1", (("other", b"1"), ("commit", b"x")))
    assert replay(table, [odd], last=9)
    assert table == {}


def test_a_new_shard_holds_nothing() -> None:
    standing = new_standing(3)
    assert (standing.state.shard, standing.table, standing.observations) == (3, {}, 0)
