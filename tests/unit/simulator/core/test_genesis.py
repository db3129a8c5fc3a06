"""Who holds what at the start."""

from statistics import median

from simulator.core.genesis import holdings
from simulator.core.world import STX
from tests.support.simulated import a_world


def test_wallets_are_of_the_sizes_that_wallets_have() -> None:
    world = a_world(tokens=200, accounts=1_000)
    subnets = {token.contract_id for token in world.subnets}
    sizes = [
        len(holdings(world, at).keys() - subnets - {STX})
        for at in range(len(world.accounts))
    ]
    assert median(sizes) == 5
    assert min(sizes) == 0
    assert sum(size > 9 for size in sizes) == 2


def test_some_amounts_are_beyond_a_double_and_some_are_spent_to_zero() -> None:
    world = a_world()
    every = [held for at in range(60) for held in holdings(world, at).values()]
    assert any(held.balance > 2**53 for held in every)
    assert any(held.balance == 0 for held in every)
    assert all(held.balance == held.received - held.sent >= 0 for held in every)


def test_some_accounts_were_never_seen() -> None:
    assert holdings(a_world(), 49) == {}


def test_a_world_without_subnets_has_holders_of_none() -> None:
    world = a_world(subnets=0)
    held = {key for at in range(60) for key in holdings(world, at)}
    assert held <= {STX, *(token.contract_id for token in world.tokens)}
