"""The cases of ``edge``: what clients cost, how late they hear, and what they hold."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.crowd import NoCrowd, Place, crowd_program, has_room_for
from benchmarks.edge_costs import balances, fanned_out, late
from benchmarks.edge_waiting import came_back, idle
from benchmarks.results import Result, Skipped

_Case = Callable[[], Awaitable[list[Result]]]


@dataclass(frozen=True, slots=True)
class EdgeSizes:
    """How many clients, and how much of each.

    ``clients`` are those of fan-out and latency, of whom ``stuck`` stop to read.
    """

    clients: int = 1_000
    stuck: int = 100
    idle: int = 10_000
    accounts: tuple[int, ...] = (500, 5_000, 15_000)
    batches: int = 40
    seconds: float = 6.0


QUICK_EDGE = EdgeSizes(
    clients=20, stuck=2, idle=30, accounts=(10, 20), batches=3, seconds=0.5
)


def edge_cases(folder: Path, sizes: EdgeSizes) -> list[Result | Skipped]:
    """Measure one edge process before crowds."""
    try:
        place = Place(crowd_program(folder), folder)
    except NoCrowd as missing:
        return [Skipped("edge", str(missing))]
    return asyncio.run(_measured(place, sizes))


async def _measured(place: Place, sizes: EdgeSizes) -> list[Result | Skipped]:
    found: list[Result | Skipped] = []
    for name, clients, case in _cases(place, sizes):
        try:
            has_room_for(clients)
        except NoCrowd as missing:
            found.append(Skipped(name, str(missing)))
        else:
            found += await case()
    return found


def _cases(place: Place, sizes: EdgeSizes) -> list[tuple[str, int, _Case]]:
    """Return each case with its name and the clients that it needs."""
    costs = partial(fanned_out, place, sizes.clients, batches=sizes.batches)
    times = partial(
        late,
        place,
        sizes.clients,
        stuck=sizes.stuck,
        batches=sizes.batches,
        seconds=sizes.seconds,
    )
    return [
        ("edge fan-out", sizes.clients, costs),
        ("edge latency", sizes.clients, times),
        *(
            (
                f"edge {clients:,} balances",
                clients,
                partial(balances, place, clients, seconds=sizes.seconds),
            )
            for clients in sizes.accounts
        ),
        ("edge idle", sizes.idle, partial(idle, place, sizes.idle)),
        ("edge come back", sizes.idle, partial(came_back, place, sizes.idle)),
    ]
