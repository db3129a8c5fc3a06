"""States: their bytes are the models' bytes, and reading them gives the state again."""

from collections.abc import Callable

import pytest
from hypothesis import given

from processor.core.batch import GENERATION_1, Batch, fold_batch
from processor.core.shard_state import ShardState
from processor.core.states import (
    Parts,
    UnreadableState,
    price_of,
    price_of_v1,
    token_of,
    user_of,
)
from schemas.base import Event, decoder, encode
from schemas.journal import FoldSettings, Position
from schemas.prices import Market
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
    BETA,
    SHARD,
    USER,
    Folding,
    holding,
    inputs_of,
    price,
    reading,
    subnet,
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


# ---- from one generation to the next


OWNER = ALPHA.encode()
MARKET = Market(change24h="1")


def of_generation_1() -> dict[bytes, bytes]:
    folding = Folding(GENERATION_1)
    folding.tell_all(
        [
            price("0.5", "a", 7, market=MARKET),
            price("0.6", "b", 9),
            reading(5, holding(ALPHA, 7)),
            subnet(6, 0),
        ]
    )
    return dict(folding.state.records())


def test_a_price_of_generation_1_is_taken_over() -> None:
    token = price_of(OWNER, {b"": of_generation_1()[b"price:" + OWNER]})
    first, second = token.quotes.values()
    assert (first.source, first.usd, first.offset) == ("a", "0.5", 0)
    assert (first.time, first.since, first.changes) == (7, 7, ())
    assert first.market == encode(MARKET).decode()
    assert (second.observed_at, second.market) == (9, None)
    # The mean of the two.
    assert (token.usd, token.version, token.observed_at) == ("0.55", 2, 9)
    assert (token.reference, token.suspect, token.agreed) == (None, None, False)


def test_a_subnet_part_of_generation_1_was_published_whatever_it_held() -> None:
    state = of_generation_1()[b"balance:" + USER.encode() + b":" + OWNER]
    user = user_of(USER.encode(), {OWNER: state})
    (part,) = user.subnets()
    assert (part.balance, part.held) == ("0", True)


def test_a_state_of_generation_2_can_be_folded_on_by_generation_1() -> None:
    folding = Folding()
    folding.tell_all(
        [
            price("0.5", "a", 7),
            price("60", "a", 8),
            subnet(6, 0),
            subnet(6, 3, base=BETA),
        ]
    )
    folding.generation = GENERATION_1
    assert folding.tell(price("61", "a", 9)).decisions == {"published": 1}
    assert folding.tell(subnet(8, 0)).decisions == {"published": 1}
    for key, value in folding.state.records():
        if key.startswith((b"price", b"balance")):
            assert b'.state/1"' in value


def test_a_state_without_a_published_price_is_kept_as_it_is() -> None:
    """All that was said is older than what the log says of now."""
    folding = Folding(price_max_age_ms=10, future_tolerance_ms=2**52)
    old = price("1", "a", 2_000_000_000_000).model_copy(
        update={"source_time": 1_900_000_000_000}
    )
    assert folding.tell(old).decisions == {"unchanged": 1}
    state = dict(folding.state.records())[b"price:" + OWNER]
    assert price_of(OWNER, {b"": state}).usd is None
    assert price_of_v1(OWNER, {b"": state}).usd is None


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
