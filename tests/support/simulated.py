"""Small simulated worlds, and what tests ask of them."""

from dataclasses import dataclass

from simulator.core.chain import Ledger
from simulator.core.genesis import holdings
from simulator.core.world import World, build


@dataclass(frozen=True)
class Grown:
    """A world and the ledger that starts in it."""

    world: World
    ledger: Ledger


def a_world(
    seed: int = 1, *, tokens: int = 40, subnets: int = 10, accounts: int = 60
) -> World:
    return build(
        seed, network="mainnet", tokens=tokens, subnets=subnets, accounts=accounts
    )


def grown(seed: int = 1, *, accounts: int = 60, moves: int = 20) -> Grown:
    world = a_world(seed, accounts=accounts)
    start = [holdings(world, at) for at in range(accounts)]
    return Grown(world, Ledger(world, start, moves=moves))
