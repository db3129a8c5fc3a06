"""The market: how prices move and what sources make of them."""

from hypothesis import given
from hypothesis import strategies as st

from simulator.core.market import (
    Market,
    Source,
    advance,
    base_usd,
    opening,
    pin,
    quotes,
)
from simulator.core.world import STX, World
from tests.support.simulated import a_world


def after(world: World, ticks: int) -> Market:
    market = opening(world)
    for _ in range(ticks):
        market = advance(world, market)
    return market


@given(st.integers(0, 100), st.integers(0, 40))
def test_every_quote_stays_within_five_percent(seed: int, ticks: int) -> None:
    world = a_world(seed)
    market = after(world, ticks)
    for source in Source:
        for contract_id, usd in quotes(world, market, source).items():
            assert abs(usd / base_usd(world, contract_id) - 1) <= 0.05


def test_a_long_walk_is_held_at_the_edges() -> None:
    world = a_world()
    market = after(world, 2_000)
    assert all(0.952 <= factor <= 1.048 for factor in market.factors[0].values())
    assert any(abs(factor - 1) > 0.03 for factor in market.factors[0].values())


def test_prices_move_and_the_same_seed_moves_them_alike() -> None:
    world = a_world()
    quoted = [quotes(world, after(world, ticks), Source.KRAXEL) for ticks in (4, 4, 5)]
    assert quoted[0] == quoted[1] != quoted[2]


def test_sources_differ_in_what_they_know_and_say() -> None:
    world = a_world(tokens=200)
    market = after(world, 3)
    said = {source: quotes(world, market, source) for source in Source}
    known = [frozenset(quoted) for quoted in said.values()]
    assert len(set(known)) == 3
    assert all(STX in keys for keys in known)
    assert len({quoted[STX] for quoted in said.values()}) == 3


def test_a_slow_source_says_what_was_true_before() -> None:
    world = a_world()
    market = after(world, 3)
    moved = advance(world, market)
    assert moved.factors[1:] == market.factors[:2]


def test_a_pinned_price_is_what_every_source_says_until_it_is_let_go() -> None:
    world = a_world()
    market = pin(pin(after(world, 2), STX, 7.5), STX, 9.25)
    assert {quotes(world, market, source)[STX] for source in Source} == {9.25}
    let_go = pin(market, STX, None)
    assert let_go.pins == {}
