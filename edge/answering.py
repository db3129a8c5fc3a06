"""What the hub wants done for a client that asked: the same for every transport."""

from collections.abc import Iterable, Iterator

from edge.clients import Client
from edge.core.cursor import Cursor, Refusal
from edge.core.hub import Effects
from edge.parts import Parts
from runtime.metrics import RESUMES

# How long a request waits for the table to reach its cursor.
AHEAD_S = 1.0


async def carry_out(effects: Effects, client: Client, parts: Parts) -> None:
    """Do what is to be done for a client, after a while if it is to wait.

    Raises ``ConnectionError`` when the client is gone in the middle of an answer.
    """
    hub, waiting = parts.hub, effects.waiting
    if waiting is not None:
        await parts.follower.arrivals.until(
            lambda: hub.has_reached(waiting), seconds=AHEAD_S
        )
        parts.clients.catch_up(client.id)
        effects = hub.resume(client.id, waiting, now_ms=parts.clock.now_ms())
    demand = parts.demand
    demand.watch(effects.watch, client.who)
    demand.unwatch(effects.unwatch)
    if effects.resumed is not None:
        RESUMES.labels(effects.resumed).inc()
    if effects.refresh is not None:
        demand.refresh(effects.refresh, client.who)
    await parts.clients.answer(client, _paid_for(effects.frames, client, parts))


def _paid_for(frames: Iterable[bytes], client: Client, parts: Parts) -> Iterator[bytes]:
    """Yield frames, each when it is made; the client's address pays for what is in them."""
    answer, hub, made_before = iter(frames), parts.hub, parts.hub.made_bytes(client.id)
    while (each := next(answer, None)) is not None:
        made = hub.made_bytes(client.id)
        parts.spend(client.who, made - made_before)
        made_before = made
        yield each


async def judged(cursor: Cursor, parts: Parts) -> Refusal | None:
    """Return why what changed since a cursor cannot be told; ``None`` if it can.

    When the cursor is ahead of the table, the table may take a while to reach it.
    """
    hub, clock = parts.hub, parts.clock

    def refusal() -> Refusal | None:
        return hub.refusal(cursor, now_ms=clock.now_ms())

    if refusal() is Refusal.AHEAD:
        await parts.follower.arrivals.until(
            lambda: refusal() is not Refusal.AHEAD, seconds=AHEAD_S
        )
    return refusal()
