"""The state of a shard: what is loaded is what is held."""

import pytest

from processor.core import prices_v1, shard_state
from processor.core.prices import TokenPrice
from processor.core.shard_state import KINDS_V1, ShardState
from processor.core.states import UnreadableState
from schemas.base import encode
from schemas.journal import GENESIS, Position
from schemas.topics import PRICES_RAW, RAW, TOKENS_RAW
from tests.support.folding import ALPHA, SHARD, Folding, price, reading, token

POSITION = Position(commit=4, chain=GENESIS, log_time=9, positions={"prices.raw": 7})


def test_a_new_shard_begins_the_chain() -> None:
    position = ShardState(SHARD).position
    assert (position.commit, position.chain, position.positions) == (0, GENESIS, {})


def test_records_are_told_as_they_were_loaded() -> None:
    records = [
        (b"price:A", b"1"),
        (b"account:U", b"2"),
        (b"balance:U:A", b"3"),
        (b"balance:V:A", b"4"),
        (b"token:A", b"5"),
        (b"token:A:hiro", b"6"),
        (b"position", encode(POSITION)),
    ]
    state = ShardState.restore(SHARD, [*records, (b"barrier", b"{}")])
    assert sorted(state.records()) == sorted(records)
    assert state.position == POSITION
    assert len(state) == 6


def test_the_owners_of_states_are_told_by_topic() -> None:
    records = [(b"price:A", b"1"), (b"token:A", b"5"), (b"token:B:hiro", b"6")]
    state = ShardState.restore(SHARD, records)
    assert state.owners(PRICES_RAW) == [b"A"]
    assert state.owners(TOKENS_RAW) == [b"A", b"B"]


def test_what_stands_under_a_key_is_told() -> None:
    records = [(b"price:A", b"1"), (b"balance:U:A", b"3"), (b"token:A:hiro", b"6")]
    state = ShardState.restore(SHARD, records)
    assert [state.held(key) for key, _ in records] == [b"1", b"3", b"6"]
    # The last of these is read as a balance, and never written.
    for key in (
        b"price:B",
        b"balance:U:B",
        b"position",
        b"of-tomorrow",
        b"account:U:A",
    ):
        assert state.held(key) is None


def test_the_last_record_of_a_key_counts() -> None:
    state = ShardState.restore(SHARD, [(b"price:A", b"1"), (b"price:A", b"2")])
    assert dict(state.records())[b"price:A"] == b"2"
    assert len(state) == 1


def test_a_tombstone_takes_a_record_away() -> None:
    records = [(b"balance:U:A", b"3"), (b"balance:U:A", None), (b"token:B", None)]
    state = ShardState.restore(SHARD, records)
    assert [key for key, _ in state.records()] == [b"position"]
    assert len(state) == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param(b"of-tomorrow:A", b"{}", id="a key of another program"),
        pytest.param(b"position", b'{"schema":"position/2"}', id="a newer position"),
        pytest.param(b"position", None, id="no position"),
    ],
)
def test_what_this_program_does_not_write_is_not_skipped(
    key: bytes, value: bytes | None
) -> None:
    with pytest.raises(UnreadableState):
        ShardState(SHARD).load(key, value)


def test_a_topic_begins_where_it_is_told_unless_the_shard_has_read_from_it() -> None:
    state = ShardState.restore(SHARD, [(b"position", encode(POSITION))])
    state.start_at(dict.fromkeys(RAW, 2))
    assert state.position.positions == {
        "prices.raw": 7,
        "balances.raw": 2,
        "tokens.raw": 2,
    }


def test_a_topic_that_lost_what_was_to_be_read_is_read_on_after_it() -> None:
    state = ShardState.restore(SHARD, [(b"position", encode(POSITION))])
    state.read_on({"prices.raw": 9})
    assert state.position == POSITION.model_copy(
        update={"positions": {"prices.raw": 9}}
    )


def test_what_was_read_before_does_not_hide_what_is_loaded_after() -> None:
    ahead, behind = Folding(), Folding()
    ahead.tell_all([price("1"), price("2", at=2)])
    behind.tell(price("1"))
    behind.state.open(PRICES_RAW, ALPHA.encode())
    for key, value in ahead.state.records():
        behind.state.load(key, value)
    assert behind.state.open(PRICES_RAW, ALPHA.encode()).usd == "2"


def test_each_generation_reads_the_objects_of_its_own() -> None:
    folding = Folding()
    folding.tell(price("1"))
    owner = ALPHA.encode()
    first = folding.state.open(PRICES_RAW, owner, KINDS_V1)
    assert isinstance(first, prices_v1.TokenPrice)
    assert folding.tell(price("2", at=2)).decisions == {"published": 1}
    assert isinstance(folding.state.open(PRICES_RAW, owner), TokenPrice)


def test_objects_beyond_a_bound_are_read_again_from_their_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shard_state, "_MAX_OBJECTS", 0)
    folding, kept = Folding(), Folding()
    for event in (price("1"), price("2", "b"), reading(1), token(name="a")):
        assert folding.tell(event) == kept.tell(event)
    assert folding.tell(price("3", "c")).decisions == {"published": 1}
    again = token(at=2, name="a")
    assert folding.tell(again).decisions == {"unchanged": 1}
    assert folding.state.open(TOKENS_RAW, ALPHA.encode()).version == 1
