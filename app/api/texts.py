"""What the documents say beside the models: what it is about, and examples."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from schemas import extras, granted, wire

VERSION = "1"
_USER = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS"
_TOKEN = f"{_USER}.charisma-token"
_AT_MS = 1_750_913_233_229

WEBSOCKET = """Live prices and balances of the Stacks blockchain.

Each text frame is one JSON object with a `type`. The edge greets with `SERVER_INFO`; a
client says `SUBSCRIBE` and gets the current values, then every change. An empty list, `null`
or no list means all; a list of nothing but invalid ids means none.

A client that never says `HELLO` sees the messages of the base protocol alone, with exactly
their fields. `HELLO` names features; `WELCOME` grants them from the next message on. From
then on messages keep their types and gain fields: their models here begin with `Granted`.

- `ack`: `SUBSCRIBED` and `UNSUBSCRIBED` say what was taken; every `ERROR` has a `code`.
- `seq`: every message is numbered, without a gap, for each connection.
- `resume`: `version` in every update, `cursor` when the client has everything; `SUBSCRIBE`
  takes `since` and only what changed is sent, by any edge. A client drops versions that are
  not newer than what it has.
- `heartbeat`: `HEARTBEAT` every few seconds, with how fresh the feed is.
- `exact`: amounts and prices as decimal strings, every subnet part of a balance.
- `shutdown`: notice before the edge closes the connection, and how long to wait.

The edge closes with 1008 who sends too much or too many mistakes, after an `ERROR` that says
so; with 1002 who sends frames that RFC 6455 forbids; with 1009 whose message is too long; with
1012 when it restarts. Come back after any of
them, with a growing random delay.

What clients send may have more fields than stand here: they are ignored. A client should
ignore types and fields that it does not know.
"""

HTTP = """Prices and balances of the Stacks blockchain, as the table of this edge holds them.

A client that has an answer asks again with its `ETag`, or with its cursor for what changed
since, on any edge. Who wants every change listens to a stream of events on the same URL, or
opens a WebSocket there, which `/asyncapi.json` describes.

All of it is public chain data; an edge may be set to want a token for POST and `/metrics`.
A method that a resource has not is answered 405 with `Allow`. A WebSocket is refused with 403
to a page of an origin that is not allowed. Whatever is refused is told as JSON with `error`, a
word for programs, and `message`, a sentence for people. A polyfill of `EventSource` that cannot
send `Last-Event-ID` may send `lastEventId` in the query of a stream.
"""

_PRICE = {
    "type": "PRICE_UPDATE",
    "contractId": _TOKEN,
    "price": 0.4684,
    "timestamp": _AT_MS,
    "source": "api",
}
_BALANCE = {
    "type": "BALANCE_UPDATE",
    "userId": _USER,
    "contractId": _TOKEN,
    "balance": 1_000_000,
    "totalSent": "100000",
    "totalReceived": "1100000",
    "formattedBalance": 1.0,
    "metadata": {
        "contractId": _TOKEN,
        "name": "Charisma Token",
        "symbol": "CHA",
        "decimals": 6,
        "type": "SIP10",
        "identifier": "charisma",
        "description": None,
        "image": None,
        "token_uri": None,
        "total_supply": "100000000000000",
        "lastUpdated": _AT_MS,
        "tokenAContract": None,
        "tokenBContract": None,
        "lpRebatePercent": None,
        "externalPoolId": None,
        "engineContractId": None,
        "base": None,
        "verified": False,
        "price": 0.4684,
        "change1h": None,
        "change24h": None,
        "change7d": None,
        "marketCap": None,
    },
    "timestamp": _AT_MS,
    "source": "hiro-api",
}


def _bodies(party: str, element: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer with everything, and one with what changed."""
    base = {party: [element], "party": party, "serverTime": _AT_MS}
    changed = {
        "removed": [],
        "recovered": True,
        "cursor": "2.3f2a9c41d07e.197ab1c0e4d.50-3a.9d0c5be1f7a28364",
    }
    return {
        "everything": {"summary": "Without `since`", "value": base},
        "changed": {"summary": "With `since`", "value": {**base, **changed}},
    }


BODY_EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "prices": _bodies("prices", _PRICE),
    "balances": _bodies("balances", _BALANCE),
}


@dataclass(frozen=True, slots=True)
class Said:
    """A message and what it looks like."""

    model: type[BaseModel]
    example: Mapping[str, Any] | None


EXAMPLES: Mapping[type[BaseModel], Mapping[str, Any]] = {
    wire.Subscribe: {"type": "SUBSCRIBE", "contractIds": [_TOKEN, ".stx"]},
    granted.ResumingSubscribe: {
        "type": "SUBSCRIBE",
        "contractIds": [],
        "since": "2.3f2a9c41d07e.197ab1c0e4d.4f-3a.9d0c5be1f7a28364",
    },
    wire.Unsubscribe: {"type": "UNSUBSCRIBE", "contractIds": []},
    wire.Ping: {"type": "PING", "timestamp": _AT_MS},
    wire.ManualUpdate: {"type": "MANUAL_UPDATE"},
    wire.Pong: {"type": "PONG", "timestamp": _AT_MS},
    wire.Error: {"type": "ERROR", "message": "Invalid message format"},
    wire.ServerInfo: {
        "type": "SERVER_INFO",
        "party": "prices",
        "isLocalDev": False,
        "metadataLoaded": True,
        "metadataCount": 127,
        "timestamp": _AT_MS,
    },
    wire.PriceUpdate: _PRICE,
    granted.GrantedExactPriceUpdate: {
        "seq": 7,
        "type": "PRICE_UPDATE",
        "contractId": _TOKEN,
        "price": "0.4684",
        "timestamp": _AT_MS,
        "source": "api",
        "version": 12,
        "cursor": "2.3f2a9c41d07e.197ab1c0e4d.50-3a.9d0c5be1f7a28364",
    },
    extras.Hello: {"type": "HELLO", "features": ["ack", "seq", "resume"]},
    extras.Welcome: {
        "type": "WELCOME",
        "party": "prices",
        "features": ["ack", "seq", "resume"],
        "ignored": [],
        "log": "3f2a9c41d07e",
        "timestamp": _AT_MS,
    },
    extras.Heartbeat: {
        "type": "HEARTBEAT",
        "watermarks": [_AT_MS, _AT_MS],
        "observed": {"prices": _AT_MS, "balances": _AT_MS, "tokens": None},
        "stale": False,
        "oldPrices": {"count": 0, "quotedAt": {}},
        "timestamp": _AT_MS,
    },
    extras.Shutdown: {
        "type": "SHUTDOWN",
        "reconnectInMs": 1_500,
        "timestamp": _AT_MS,
    },
    extras.Removed: {
        "type": "REMOVED",
        "userId": _USER,
        "contractId": _TOKEN,
        "timestamp": _AT_MS,
    },
}
