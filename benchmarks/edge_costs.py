"""What a change costs before a crowd, beside the bare loop, and how late it arrives."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from benchmarks import edge_crowds
from benchmarks.crowd import Place, Scene, Took, scene
from benchmarks.edge_crowds import Accounts, Market, alike, mixed, priced
from benchmarks.results import Result
from schemas.ids import UserId

_BALANCE_RATE, _BALANCE_BATCH = 2_000, 100
_ALL_CHANGES = (1, 5, 20, 100)
_CHANGES = 20  # a batch, where not several are tried
_GOAL_RATIO, _GOAL_MS, _STUCK_KIB = 1.3, 25, 256


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU of the edge, and of the bare loop for the same bytes."""

    updates: int
    batches: int
    edge_s: float
    bare_s: float

    @property
    def batch_s(self) -> float:
        """CPU of the edge for a batch."""
        return self.edge_s / self.batches


# ---- beside the bare loop


async def fanned_out(place: Place, clients: int, *, batches: int) -> list[Result]:
    """Measure clients who want all, and clients who want what they want in life."""
    found: list[Result] = []
    market = alike(clients)
    async with scene(place, market.table(), field="price") as on:
        await on.assemble(market.lines())
        for changes in _ALL_CHANGES:
            cost = await _cost(on, market, changes, batches=batches)
            found += _rows(f"edge all, {changes} a batch", cost)
    market = mixed(clients)
    async with scene(place, market.table(), field="price") as on:
        await on.assemble(market.lines())
        cost = await _cost(on, market, _CHANGES, batches=batches)
        found += _rows(f"edge mix, {_CHANGES} a batch", cost)
    return found


async def _cost(on: Scene, market: Market, changes: int, *, batches: int) -> Cost:
    """Send batches, each of them once more by the bare loop to the same sockets."""
    edge_s = bare_s = 0.0
    updates = 0
    for number, changed in enumerate(islice(market.changes(changes), batches)):
        expected = market.updates(changed)
        before = await on.spent()
        await on.commit(priced(changed, version=number + 2))
        await on.arrived(expected)
        between = await on.spent()
        # Its answer is what had been used just before the loop.
        bare = await on.edge.ask("bare")
        await on.arrived(expected)
        after = await on.spent()
        edge_s += between.cpu_s - before.cpu_s
        bare_s += after.cpu_s - float(bare["cpu_s"])
        updates += expected
    return Cost(updates, batches, edge_s, bare_s)


def _rows(name: str, cost: Cost) -> list[Result]:
    return [
        Result(
            name=name,
            value=cost.edge_s / cost.updates * 1e6,
            unit="us CPU an update",
            goal=_GOAL_RATIO,
            peer=f"bare loop, {cost.bare_s / cost.updates * 1e6:.3f} us",
            ratio=cost.edge_s / cost.bare_s,
        ),
        Result(
            name=name, value=cost.updates / cost.edge_s, unit="updates a CPU second"
        ),
    ]


# ---- how late


async def late(
    place: Place, clients: int, *, stuck: int, batches: int, seconds: float
) -> list[Result]:
    """Measure at half the rate that one core can do; then with some who never read."""
    market = alike(clients)
    async with scene(place, market.table(), field="price") as on:
        await on.assemble(market.lines())
        await on.crowd.ask("mode", 1)
        cost = await _cost(on, market, _CHANGES, batches=batches)
        rate = 0.5 / cost.batch_s
        calm = await _paced(on, market, rate, seconds=seconds)
        before = await on.spent()
        await on.crowd.ask("deafen", stuck)
        held_up = await _paced(on, market, rate, seconds=seconds)
        grown_kib = (await on.spent()).memory_kib - before.memory_kib
    return [*_late_rows(calm), *_stuck_rows(calm, held_up, stuck, grown_kib)]


async def _paced(on: Scene, market: Market, rate: float, *, seconds: float) -> Took:
    """Change prices at a rate of batches a second; return how long they took."""
    await on.crowd.ask("settle")
    start_s, batches = time.monotonic(), int(seconds * rate) + 1
    for number, changed in enumerate(islice(market.changes(_CHANGES), batches)):
        await _until(start_s + number / rate)
        await on.commit(priced(changed, version=1_000 + number))
    await on.crowd.ask("rest")
    return await on.took()


async def _until(due_s: float) -> None:
    await asyncio.sleep(max(0.0, due_s - time.monotonic()))


def _late_rows(calm: Took) -> list[Result]:
    name, unit = "edge at half its rate", "ms from commit to client"
    return [
        Result(f"{name} p50", calm.p50_ms, unit),
        Result(f"{name} p99", calm.p99_ms, unit, goal=_GOAL_MS, of="value"),
    ]


def _stuck_rows(calm: Took, held_up: Took, stuck: int, grown_kib: int) -> list[Result]:
    bound_kib = stuck * _STUCK_KIB
    return [
        Result(
            name=f"edge {stuck} stuck p99",
            value=held_up.p99_ms,
            unit="ms of the others",
            peer=f"{calm.p99_ms:.2f} ms with none stuck",
            ratio=held_up.p99_ms / calm.p99_ms,
        ),
        Result(
            name=f"edge {stuck} stuck",
            value=grown_kib,
            unit="KiB more",
            goal=bound_kib,
            of="value",
            peer=f"a limit of {bound_kib:,} KiB",
        ),
    ]


# ---- a user each


async def balances(place: Place, clients: int, *, seconds: float) -> list[Result]:
    """Measure clients who watch a user each, of whom some change at a steady rate."""
    crowd = edge_crowds.accounts(clients)
    rounds = int(seconds * _BALANCE_RATE / _BALANCE_BATCH)
    async with scene(place, crowd.table(), field="balance") as on:
        await on.assemble(crowd.lines())
        await on.crowd.ask("mode", 1)
        held_s = await _holding(on, seconds=seconds)
        before, start_s = await on.spent(), time.monotonic()
        changes = 0
        for number in range(rounds):
            await _until(start_s + number * _BALANCE_BATCH / _BALANCE_RATE)
            users = _turn(crowd, number)
            changes += len(users)
            await on.commit(crowd.changed(users, version=number + 2))
        await on.arrived(changes)
        cpu_s = (await on.spent()).cpu_s - before.cpu_s
        took = await on.took()
    name = f"edge {clients:,} balances"
    return [
        Result(name, cpu_s / changes * 1e6, "us CPU a change"),
        Result(name, held_s * 1e3, "ms CPU a second without changes"),
        Result(f"{name} p99", took.p99_ms, "ms from commit to client"),
    ]


async def _holding(on: Scene, *, seconds: float) -> float:
    """Return the CPU a second for clients to whom nothing happens."""
    before, start_s = await on.spent(), time.monotonic()
    await asyncio.sleep(seconds)
    after = await on.spent()
    return (after.cpu_s - before.cpu_s) / (time.monotonic() - start_s)


def _turn(crowd: Accounts, number: int) -> Sequence[UserId]:
    """Return whose balance changes in a batch: all users have their turn."""
    count = len(crowd.users)
    first, changes = number * _BALANCE_BATCH, min(_BALANCE_BATCH, count)
    return [crowd.users[(first + n) % count] for n in range(changes)]
