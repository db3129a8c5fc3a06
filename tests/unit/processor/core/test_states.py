"""States: their bytes are the models' bytes, and reading them gives the state again."""

from collections.abc import Callable

import pytest
from hypothesis import given

from processor.core.batch import Batch, fold_batch
from processor.core.shard_state import ShardState
from processor.core.states import (
    Parts,
    UnreadableState,
    price_of,
    token_of,
    user_of,
)
from schemas.base import Event, decoder, encode
from schemas.journal import FoldSettings, Position
from schemas.states import (
    AccountState,
    BalanceState,
    PriceState,
    TokenState,
    TokenWordState,
)
from schemas.topics import STATE
from tests.support.folding import (
    ALPHA,
    SHARD,
    Folding,
    holding,
    inputs_of,
    reading,
)
from tests.support.worlds import Entry, entries

MODELS: dict[str, type[Event]] = {
    "price": PriceState,
    "account": AccountState,
    "balance": BalanceState,
    "token": TokenState,
    "position": Position,
}


def model_of(key: bytes) -> type[Event]:
    kind, *rest = key.decode().split(":")
    if kind == "token" and len(rest) > 1:
        return TokenWordState
    return MODELS[kind]


def folded(drawn: list[Entry]) -> Batch:
    inputs = inputs_of(drawn)
    return fold_batch(ShardState(SHARD), inputs, settings=FoldSettings())


@given(entries().filter(bool))
def test_every_record_of_state_is_as_its_model_writes_it(drawn: list[Entry]) -> None:
    for key, value, _ in folded(drawn).entries[STATE]:
        if value is None:
            # A balance of which nothing was published or is left.
            assert model_of(key or b"") is BalanceState
            continue
        read = decoder(model_of(key or b""))(value)
        assert isinstance(read, Event), (key, value, read)
        assert encode(read) == value


@pytest.mark.parametrize(
    ("read", "part"),
    [
        pytest.param(price_of, b"", id="price"),
        pytest.param(user_of, b"", id="account"),
        pytest.param(user_of, b"part", id="balance"),
        pytest.param(token_of, b"", id="token"),
        pytest.param(token_of, b"part", id="word"),
    ],
)
def test_a_state_of_a_newer_program_is_not_guessed_at(
    read: Callable[[bytes, Parts], object], part: bytes
) -> None:
    with pytest.raises(UnreadableState, match=r"SP1.*schema"):
        read(b"SP1", {part: b'{"schema":"of tomorrow/9"}'})


def test_a_suspect_part_that_was_restored_keeps_its_own_standing() -> None:
    """A reading between the sound one and the suspect one is newer than what is held."""
    live, restored = Folding(), Folding()
    live.tell_all([reading(10, holding(ALPHA, 5)), reading(30, holding(ALPHA, -1))])
    restored.state = ShardState.restore(SHARD, live.state.records())
    restored.offsets = dict(live.offsets)
    for folding in (live, restored):
        told = folding.tell(reading(20, holding(ALPHA, 7)))
        assert told.decisions == {"published": 1}
    assert sorted(restored.state.records()) == sorted(live.state.records())
