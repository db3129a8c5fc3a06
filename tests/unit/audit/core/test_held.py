"""What ``state`` must hold where history ends."""

import pytest

from audit.core.difference import Check, Difference, DifferenceFound
from audit.core.held import StateCheck, check_position
from eventlog.port import Record
from processor.core.shard_state import ShardState
from schemas.base import encode
from schemas.journal import GENESIS, Position


def position(commit: int = 5, **positions: int) -> Position:
    positions = {"prices.raw": 7, **positions}
    return Position(commit=commit, chain=GENESIS, log_time=9, positions=positions)


def a_state() -> ShardState:
    state = ShardState.restore(
        1, [(b"price:A", b"1"), (b"balance:U:A", b"2"), (b"account:U", b"3")]
    )
    state.position = position()
    return state


def written(*records: tuple[str, str | None]) -> list[Record]:
    return [
        Record(n, 0, key.encode(), None if value is None else value.encode())
        for n, (key, value) in enumerate(records)
    ]


def at(commit: int) -> tuple[str, str]:
    return "position", encode(position(commit)).decode()


RIGHT = (("price:A", "1"), ("balance:U:A", "2"), ("account:U", "3"))


def check(*records: tuple[str, str | None], newest: int = 5) -> None:
    checking = StateCheck(a_state())
    for record in written(*records):
        checking.read([record])
    checking.end(newest)
    # All at once is the same.
    checking = StateCheck(a_state())
    checking.read(written(*records))
    checking.end(newest)


def difference(*records: tuple[str, str | None], newest: int = 5) -> Difference:
    with pytest.raises(DifferenceFound) as found:
        check(*records, newest=newest)
    assert found.value.difference.check is Check.STATE
    return found.value.difference


def test_the_newest_record_of_each_key_must_be_what_is_held() -> None:
    check(*RIGHT, at(5))
    check(("price:A", "0"), ("price:B", "0"), at(3), *RIGHT, ("price:B", None), at(5))
    check(("barrier", "{}"), *RIGHT, at(5), ("barrier", "{}"))


def test_a_shard_that_wrote_nothing_has_no_state() -> None:
    checking = StateCheck(ShardState(1))
    checking.read(written(("barrier", "{}")))
    checking.end(0)
    checking.read(written(("price:A", "1")))
    with pytest.raises(DifferenceFound, match="expected nothing, found 1"):
        checking.end(0)


@pytest.mark.parametrize(
    ("records", "expected", "found", "offset"),
    [
        pytest.param((("price:A", "9"),), "1", "9", 3, id="another value"),
        pytest.param((("price:A", None),), "1", "a tombstone", 3, id="withdrawn"),
        pytest.param((("price:B", "1"),), "nothing", "1", 3, id="a key too many"),
        pytest.param((("other", "1"),), "nothing", "1", 3, id="a key of no kind"),
        pytest.param(
            (("account:U:A", "2"),), "nothing", "2", 3, id="a part under another name"
        ),
    ],
)
def test_another_record_is_named_with_its_place(
    records: tuple[tuple[str, str | None], ...],
    expected: str,
    found: str,
    offset: int,
) -> None:
    said = difference(*RIGHT, *records, at(5))
    assert (said.expected, said.found, said.offset) == (expected, found, offset)
    assert said.key == records[0][0]


def test_a_record_that_is_missing_is_named() -> None:
    said = difference(*RIGHT[1:], at(5))
    assert (said.key, said.expected, said.found) == ("price:A", "1", "nothing")
    assert said.offset is None


def test_of_several_the_first_in_the_log_is_named() -> None:
    assert difference(("price:B", "1"), *RIGHT, ("aa", "1"), at(5)).key == "price:B"


def test_what_is_of_a_later_commit_is_passed_over() -> None:
    check(*RIGHT, at(5), ("price:A", "9"), ("price:B", "1"), at(6), newest=6)
    # The position of ours may be gone by compaction.
    check(*RIGHT, at(4), ("price:A", "9"), at(6), newest=6)
    check(*RIGHT, ("price:A", "9"), at(7), newest=8)


def test_what_stands_before_our_position_is_not_of_a_later_commit() -> None:
    said = difference(
        ("price:B", "1"), *RIGHT, at(5), ("price:C", "1"), at(6), newest=6
    )
    assert said.key == "price:B"


def test_without_a_later_commit_nothing_may_stand_after_our_position() -> None:
    assert difference(*RIGHT, at(5), ("price:A", "9")).key == "price:A"


def test_a_state_without_a_position_differs() -> None:
    assert "cannot be read" in difference(*RIGHT).found
    assert "cannot be read" in difference(*RIGHT, ("position", "{}")).found


def test_the_position_must_be_where_the_shard_stands() -> None:
    check_position(a_state(), encode(position()), newest=5)
    unread = position(**{"tokens.raw": 3})
    check_position(a_state(), encode(unread), newest=5)
    check_position(a_state(), encode(position(commit=8)), newest=8)
    for wrong in (None, b"{}", encode(position(commit=8)), encode(position(commit=4))):
        with pytest.raises(DifferenceFound, match="state differs in commit 5"):
            check_position(a_state(), wrong, newest=7)
