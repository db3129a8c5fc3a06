"""Frames of Hiro's WebSocket: JSON-RPC 2.0, of which we use hints and the pulse."""

from dataclasses import dataclass
from typing import Any

from ingest.core.normalize.body import Unusable, Upstream, parse, shape
from schemas.base import canonical
from schemas.ids import UserId

BLOCK = "block"
# Sent for every confirmed transaction that touches the address, tokens included.
BALANCE = "address_balance_update"


@dataclass(frozen=True, slots=True)
class Pulse:
    """A block came: the connection is alive."""


@dataclass(frozen=True, slots=True)
class Hint:
    """Something touched this address; what the frame says of it is not used."""

    address: str


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The subscription with this number stands."""

    number: int


@dataclass(frozen=True, slots=True)
class SubscriptionRefused:
    """The subscription with this number was refused: it will be again."""

    number: int
    code: int


Frame = Pulse | Hint | Subscribed | SubscriptionRefused | Unusable


class _Error(Upstream):
    code: int


class _Message(Upstream):
    id: Any = None
    method: str | None = None
    params: Any = None
    error: _Error | None = None


class _Address(Upstream):
    address: str


def subscriptions(user: UserId) -> tuple[str, str]:
    """Return the frames that subscribe to blocks (1) and to an address (2)."""
    wanted = ({"event": BLOCK}, {"event": BALANCE, "address": user})
    first, second = (
        canonical(
            {"jsonrpc": "2.0", "id": number, "method": "subscribe", "params": params}
        ).decode()
        for number, params in enumerate(wanted, 1)
    )
    return first, second


def frame(text: str | bytes) -> Frame:
    """Read one frame; events nobody subscribed to are ``Unusable`` too."""
    said = parse(text if isinstance(text, bytes) else text.encode(errors="replace"))
    message = said if isinstance(said, Unusable) else shape(_Message, said)
    if isinstance(message, Unusable):
        return message
    if isinstance(message.id, int):
        if message.error is None:
            return Subscribed(message.id)
        return SubscriptionRefused(message.id, message.error.code)
    if message.method == BLOCK:
        return Pulse()
    return _hint(message)


def _hint(message: _Message) -> Frame:
    if message.method != BALANCE:
        return Unusable("an event nobody asked for")
    params = shape(_Address, message.params)
    return params if isinstance(params, Unusable) else Hint(params.address)
