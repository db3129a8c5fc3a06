"""Where the newest record of each key stands, beside the records themselves."""

from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import places as module
from edge.core.places import Place, Places

Key: TypeAlias = tuple[str, str]
A1, A2, B1 = ("a", "1"), ("a", "2"), ("b", "1")


def at(offset: int, partition: int = 0) -> Place:
    return Place(partition, offset, 1_000 + offset)


def test_a_key_is_as_new_as_its_newest_record() -> None:
    found: Places[Key] = Places()
    found.put(A1, at(1))
    found.put(B1, at(1, partition=1))
    found.put(A2, at(2))
    found.put(A1, at(3))
    assert list(found.new({0: 3, 1: 2})) == [A1]
    assert list(found.new({0: 2, 1: 2})) == [A1, A2]
    assert set(found.new({})) == {A1, A2, B1}
    assert found.is_new(A1, {0: 3})
    assert not found.is_new(A1, {0: 4})
    assert not found.is_new(("c", "1"), {})


def test_a_withdrawn_key_is_remembered_until_it_comes_back() -> None:
    found: Places[Key] = Places()
    found.put(A1, at(1))
    found.withdraw(A1, at(2))
    found.withdraw(A2, at(3))
    found.withdraw(B1, at(4))
    assert list(found.new({})) == []
    assert list(found.gone({0: 3})) == [A2, B1]
    assert list(found.gone({}, "a")) == [A1, A2]
    assert found.is_new(A1, {0: 2})
    assert not found.is_new(A1, {0: 3})
    found.put(A1, at(5))
    found.put(("a", "3"), at(6))
    assert list(found.gone({}, "a")) == [A2]
    assert list(found.gone({}, "c")) == []


def test_withdrawn_keys_grow_old() -> None:
    found: Places[Key] = Places()
    found.withdraw(A1, at(1))
    found.withdraw(A2, at(2))
    found.put(A1, at(3))
    found.withdraw(B1, at(4))
    found.withdraw(A2, at(5))
    assert not found.has_forgotten({})
    found.forget_gone(before_ms=1_005)
    assert (list(found.gone({})), len(found)) == ([A2], 1)
    assert found.has_forgotten({0: 4})
    assert not found.has_forgotten({0: 5})


def test_no_more_withdrawn_keys_are_remembered_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_GONE", 2)
    found: Places[Key] = Places()
    for offset, key in enumerate((A1, A2, B1)):
        found.withdraw(key, at(offset))
    assert list(found.gone({})) == [A2, B1]
    assert found.has_forgotten({})
    assert not found.has_forgotten({0: 1})


def test_the_newest_record_of_a_value_is_told_by_partition() -> None:
    found: Places[Key] = Places()
    assert list(found.newest()) == []
    found.put(("b", "1"), Place(1, 3, 0))
    found.put(A1, at(7))
    found.put(A2, at(9))
    assert list(found.newest()) == [(0, 9), (1, 3)]
    found.withdraw(A2, at(10))
    found.withdraw(("b", "1"), Place(1, 11, 0))
    assert list(found.newest()) == [(0, 7)]


keys = st.tuples(st.sampled_from("ab"), st.sampled_from("12"))


@given(st.lists(st.tuples(keys, st.booleans())), st.integers(0, 20))
def test_what_is_new_is_what_the_records_from_there_on_name(
    records: list[tuple[Key, bool]], since: int
) -> None:
    found: Places[Key] = Places()
    for offset, (key, withdrawn) in enumerate(records):
        (found.withdraw if withdrawn else found.put)(key, at(offset))
    last = dict(records[since:])
    gone = {key for key, withdrawn in last.items() if withdrawn}
    assert set(found.new({0: since})) == last.keys() - gone
    assert set(found.gone({0: since})) == gone
    assert {key for key, _ in records if found.is_new(key, {0: since})} == last.keys()


@given(st.lists(st.tuples(st.sampled_from([A1, A2, B1]), st.booleans()), max_size=20))
def test_a_fingerprint_tells_which_records_hold_values(
    steps: list[tuple[Key, bool]],
) -> None:
    found: Places[Key] = Places()
    for offset, (key, is_value) in enumerate(steps):
        before = found.fingerprint
        had = found.offset_of(key)
        place = at(offset, partition=ord(key[0]) % 2)
        (found.put if is_value else found.withdraw)(key, place)
        assert found.offset_of(key) == (offset if is_value else None)
        assert (found.fingerprint == before) is (had is None and not is_value)
    # The same records make the same one, in whatever order and from whichever past.
    again: Places[Key] = Places()
    for key in (B1, A2, A1):
        if (held := found.offset_of(key)) is not None:
            again.put(key, at(held, partition=ord(key[0]) % 2))
    assert again.fingerprint == found.fingerprint
