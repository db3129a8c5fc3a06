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
    """Keep every 20th write back until the one after it has gone out."""
    fan_out, numbers = Clients._fan_out, itertools.count(1)
    kept: list[Write] = []

    def later(clients: Clients, write: Write) -> None:
        if next(numbers) % 20 == 0:
            kept.append(write)
            return
        fan_out(clients, write)
        while kept:
            old = kept.pop()
            known = [each for each in old.clients if each in clients._open]
            for each in known:
                clients._open[each].transport.write(old.frames)

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


def forgets_a_change() -> None:
    """Leave one change out of what a client missed."""
    _spoil_since(lambda since, positions, ids: since(positions, ids)[1:])


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
    "forgets-a-change": forgets_a_change,
    "repeats": repeats,
    "dies": dies,
}
