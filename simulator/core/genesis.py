"""Who holds what before the first block."""

from typing import NamedTuple

from .draws import Draws
from .world import STX, STX_DECIMALS, Token, World

# Every so many accounts a collector, who holds most of the tokens: pages are for them.
_COLLECTOR_EVERY = 997
_MAX_HELD = 9
# One account in so many has never been seen by the chain.
_UNSEEN_EVERY = 50
# One token in so many has a supply whose amounts no double holds exactly.
_VAST_EVERY = 9
_VAST = 10**11
_SUBNET_HOLDERS_IN_TEN = 3


class Holding(NamedTuple):
    """What an account has of one token; what it ever sent and received of it."""

    balance: int = 0
    sent: int = 0
    received: int = 0


Holdings = dict[str, Holding]


def holdings(world: World, at: int) -> Holdings:
    """Return the first holdings of account number `at`, by contract id.

    Most accounts hold 0 to 9 tokens, with a median of 5; some of them were spent to
    zero. STX and subnet tokens come on top.
    """
    draws = Draws(world.seed, "holdings", at)
    if at % _UNSEEN_EVERY == _UNSEEN_EVERY - 1:
        return {}
    held: Holdings = {STX: _holding(draws, STX_DECIMALS, 1)}
    for number in _chosen(draws, at, len(world.tokens)):
        token = world.tokens[number]
        held[token.contract_id] = _token_holding(draws, token, number)
    if world.subnets and draws.below(10) < _SUBNET_HOLDERS_IN_TEN:
        for _ in range(1 + draws.below(3)):
            number = draws.below(len(world.subnets))
            token = world.subnets[number]
            held[token.contract_id] = _holding(draws, token.decimals, 1)
    return held


def example_account(world: World) -> str:
    """Return an account that is good to look at: several tokens, one in a subnet.

    Where no account is like that, the one with the most tokens.
    """
    subnets = {token.contract_id for token in world.subnets}

    def interest(at: int) -> tuple[bool, int]:
        held = {key for key, it in holdings(world, at).items() if it.balance}
        return not held.isdisjoint(subnets), min(len(held), _MAX_HELD)

    return world.accounts[max(range(len(world.accounts)), key=interest)]


def _chosen(draws: Draws, at: int, tokens: int) -> list[int]:
    if at % _COLLECTOR_EVERY == 1:
        first = draws.below(max(1, tokens // 8))
        return list(range(first, tokens))
    # The sum of two draws: 0 to 9, most often in the middle.
    wanted = draws.below(_MAX_HELD // 2 + 1) + draws.below(
        _MAX_HELD - _MAX_HELD // 2 + 2
    )
    drawn = [min(draws.below(tokens), draws.below(tokens)) for _ in range(wanted)]
    return list(dict.fromkeys(drawn))[:_MAX_HELD]


def _token_holding(draws: Draws, token: Token, number: int) -> Holding:
    vast = _VAST if number % _VAST_EVERY == _VAST_EVERY - 1 else 1
    return _holding(draws, token.decimals, vast)


def _holding(draws: Draws, decimals: int, times: int) -> Holding:
    # From a thousandth of a token to a million, in whole units of the chain.
    size = 10 ** draws.below(7)
    received = draws.below(1_000_000) * size * 10**decimals * times // 1_000
    spent = draws.below(16)
    sent = received if spent == 0 else received * spent // 40
    return Holding(received - sent, sent, received)
