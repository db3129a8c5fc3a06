"""What those cost who wait, and what those get who come back all at once."""

from benchmarks import edge_crowds
from benchmarks.crowd import Place, Scene, scene
from benchmarks.edge_crowds import alike, priced
from benchmarks.results import Result

_GOAL_KIB, _GOAL_TICK_MS, _GOAL_BACK_S = 20, 150, 5
# Of so many ticks the first are seen before the connections break, and as many again
# happen before the clients come back.
_TICKS, _SEEN, _MISSED = 40, 10, 10


async def idle(place: Place, clients: int) -> list[Result]:
    """Measure the memory of connections, and one change for all of them."""
    market = alike(clients, tokens=1)
    async with scene(place, market.table(), field="price") as on:
        before = await on.spent()
        await on.assemble(market.lines())
        grown_kib = (await on.spent()).memory_kib - before.memory_kib
        await on.crowd.ask("mode", 1)
        await on.commit(priced(market.tokens, version=2))
        await on.arrived(clients)
        took = await on.took()
    return [
        Result("edge idle", grown_kib / clients, "KiB a client", _GOAL_KIB, of="value"),
        Result(
            name=f"edge tick to {clients:,}",
            value=took.max_ms,
            unit="ms from commit to the last",
            goal=_GOAL_TICK_MS,
            of="value",
        ),
    ]


async def came_back(place: Place, clients: int) -> list[Result]:
    """Break all connections, have all resume at once; each client checks what it got."""
    table = edge_crowds.ticking(_TICKS)
    async with scene(place, table, field="balance") as on:
        await on.crowd.ask("mode", 2)
        await on.assemble([edge_crowds.resuming(again=False)] * clients)
        await _ticks(on, 0, _SEEN)
        await on.arrived(_SEEN * clients)
        await on.crowd.ask("leave")
        await _ticks(on, _SEEN, _SEEN + _MISSED)
        back_s = await on.open([edge_crowds.resuming(again=True)] * clients)
        missed_s = await on.arrived(_MISSED * clients)
        await _ticks(on, _SEEN + _MISSED, _TICKS)
        await on.arrived((_TICKS - _SEEN - _MISSED) * clients)
        seen = await on.crowd.ask("seen", _TICKS)
    name = f"edge {clients:,} come back"
    wrong = int(seen["gaps"]) + int(seen["repeats"])
    return [
        Result(name, back_s + missed_s, "s to the last", _GOAL_BACK_S, of="value"),
        Result(name, wrong, "gaps and repeats", goal=0, of="value"),
    ]


async def _ticks(on: Scene, first: int, end: int) -> None:
    for number in range(first, end):
        await on.commit(edge_crowds.tick(number))
