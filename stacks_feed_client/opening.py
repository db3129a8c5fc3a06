"""How a feed is opened and closed."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, overload

from stacks_feed_client.clock import Clock, SystemClock
from stacks_feed_client.core.itinerary import Itinerary, address
from stacks_feed_client.core.machine import Machine
from stacks_feed_client.core.party import BALANCES, PRICES, Party, PartyName
from stacks_feed_client.core.values import Balance, BalanceKey, K, Price, V
from stacks_feed_client.feed import Feed
from stacks_feed_client.link import LinkOptions, opened
from stacks_feed_client.runner import Runner


@dataclass(frozen=True, slots=True)
class Options:
    """How a feed behaves.

    A subscription keeps every update while fewer than ``buffer`` wait for its reader.
    ``draw`` is uniform in [0, 1): it spreads the moments of coming back.
    """

    link: LinkOptions = field(default_factory=LinkOptions)
    buffer: int = 1_000
    clock: Clock = field(default_factory=SystemClock)
    draw: Callable[[], float] = random.random


DEFAULTS = Options()


@overload
def connect(
    *urls: str, party: Literal["prices"] = ..., options: Options = ...
) -> AbstractAsyncContextManager[Feed[str, Price]]: ...
@overload
def connect(
    *urls: str, party: Literal["balances"], options: Options = ...
) -> AbstractAsyncContextManager[Feed[BalanceKey, Balance]]: ...
def connect(
    *urls: str, party: PartyName = "prices", options: Options = DEFAULTS
) -> AbstractAsyncContextManager[Feed[Any, Any]]:
    """Open a feed of one party, from one or several servers of the same log.

    An address without a path gets that of the party; the first is tried first. The context
    is entered at once, connected or not: the feed keeps itself connected until the context
    is left. Raises ``ValueError`` for an address that is none, or without a way to it.
    """
    addresses = [address(url, party) for url in urls]
    for each in addresses:
        # Says now what would be wrong with an address or an option each time.
        opened(each, options.link)
    if party == "prices":
        return _running(PRICES, addresses, options)
    return _running(BALANCES, addresses, options)


@asynccontextmanager
async def _running(
    party: Party[K, V], addresses: Sequence[str], options: Options
) -> AsyncIterator[Feed[K, V]]:
    machine = Machine(party, Itinerary(addresses))
    feed = Feed(machine, buffer=options.buffer)
    runner = Runner(feed, machine, options.link, clock=options.clock, draw=options.draw)
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:
        task = group.create_task(runner.run(), name="run the feed")
        try:
            yield feed
        except Exception as error:  # noqa: BLE001 - the caller's own, raised below
            # Out of the group, which would wrap it.
            failure = error
        finally:
            task.cancel()
            feed.close()
    if failure is not None:
        raise failure
