"""The edge with one of its promises taken out.

Each is a patch that an edge's process applies to itself. Whoever judges what clients hear
must find what each of them does, or the judgement is worth nothing.
"""

import itertools
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from edge.clients import Clients
from edge.core.balances import Balances
from edge.core.frames import text_frame
from edge.core.groups import Groups
from edge.core.hub import Effects, Hub, Write
from edge.core.prices import Prices
from edge.core.requests import Requests
from tests.support.edge_table import messages


def _replace(where: Any, name: str, value: object) -> None:
    assert hasattr(where, name), f"{where} has no {name}"
    setattr(where, name, value)


def dropped_frame() -> None:
    """Forget every 20th write of a change."""
    fan_out, numbers = Clients._fan_out, itertools.count(1)

    def sometimes(clients: Clients, write: Write) -> None:
        if next(numbers) % 20:
            fan_out(clients, write)

    _replace(Clients, "_fan_out", sometimes)


def reordered() -> None:
    """Send what one write holds in the wrong order."""
    fan_out = Clients._fan_out

    def backwards(clients: Clients, write: Write) -> None:
        found = messages(write.frames)
        backward = b"".join(map(text_frame, reversed(found)))
        fan_out(clients, write._replace(frames=backward))

    _replace(Clients, "_fan_out", backwards)


def late() -> None:
    """Keep some writes back, for each client until after the next one to it."""
    fan_out, numbers = Clients._fan_out, itertools.count(1)
    kept: dict[Any, bytes] = {}

    def later(clients: Clients, write: Write) -> None:
        if next(numbers) % 7 == 0:
            kept.update(dict.fromkeys(write.clients, write.frames))
            return
        fan_out(clients, write)
        for each in write.clients:
            if each in kept and each in clients._open:
                clients._open[each].transport.write(kept.pop(each))

    _replace(Clients, "_fan_out", later)


def swallowed_error() -> None:
    """Say nothing about what cannot be read."""
    _replace(Requests, "_refuse", lambda *_: Effects())


def leak() -> None:
    """Remember every client for ever."""
    remove, kept = Clients.remove, []

    def remember(clients: Clients, client: Any) -> None:
        remove(clients, client)
        kept.append(client)

    _replace(Clients, "remove", remember)


def deaf_to_unsubscribe() -> None:
    """Go on sending what was unsubscribed."""
    _replace(Groups, "unsubscribe", lambda *_: frozenset())


def resumes_from_now() -> None:
    """Take every cursor for one that has everything."""
    _spoil_since(lambda since, positions, ids: [])


def forgets_changes() -> None:
    """Leave the newer half out of what a client missed."""

    def half(since: Callable[..., list[Any]], positions: Any, ids: Any) -> list[Any]:
        found = since(positions, ids)
        return found[: len(found) // 2]

    _spoil_since(half)


def repeats() -> None:
    """Answer every cursor with all there is."""
    _spoil_since(lambda since, positions, ids: since({}, ids))


def _spoil_since(spoilt: Callable[[Callable[..., list[Any]], Any, Any], Any]) -> None:
    feeds: tuple[type[Any], ...] = (Prices, Balances)
    for feed in feeds:
        since = feed.since

        def instead(
            self: Any, positions: Any, ids: Any, _since: Any = since
        ) -> list[Any]:
            found: list[Any] = spoilt(partial(_since, self), positions, ids)
            return found

        _replace(feed, "since", instead)


def dies() -> None:
    """End at the first client that leaves."""

    def end(*_: Any) -> None:
        raise SystemExit(3)

    _replace(Hub, "disconnect", end)


MUTANTS: Mapping[str, Callable[[], None]] = {
    "dropped-frame": dropped_frame,
    "reordered": reordered,
    "late": late,
    "swallowed-error": swallowed_error,
    "leak": leak,
    "deaf-to-unsubscribe": deaf_to_unsubscribe,
    "resumes-from-now": resumes_from_now,
    "forgets-changes": forgets_changes,
    "repeats": repeats,
    "dies": dies,
}
