"""Compares what a shard has published with its state, as far as that remembers it."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple

import orjson

from schemas.base import canonical

from .shard_state import ShardState


def missing(state: ShardState, versions: Mapping[bytes, int]) -> Iterator[bytes]:
    """Yield the keys that ``latest`` must hold and does not, or in an older version.

    ``versions`` are those of the values found in the shard's partition of ``latest``, by
    key.
    """
    for state_key, value in state.records():
        key = _published_key(state_key, value)
        if key is not None and versions.get(key, 0) < orjson.loads(value)["version"]:
            yield key


def _published_key(key: bytes, value: bytes) -> bytes | None:
    """Return the key under which a state has published a value that still stands."""
    kind, _, owner = key.partition(b":")
    if kind == b"balance":
        return key if _is_held(value) else None
    if kind in {b"price", b"token"} and b":" not in owner:
        stands = orjson.loads(value).get("usd", "") is not None
        return key if stands else None
    return None


def _is_held(value: bytes) -> bool:
    # A subnet in which nothing was ever held is remembered, and not published; the state
    # of generation 1 does not tell, because it published all.
    balance = orjson.loads(value)
    subnets = balance["subnets"].values()
    return balance["mainnet"] is not None or any(p.get("held", True) for p in subnets)


def version_of(value: bytes) -> int:
    """Return the version of a value of ``latest``; 0 for what has none."""
    try:
        said = orjson.loads(value)
    except ValueError:
        return 0
    version = said.get("version") if isinstance(said, dict) else None
    return version if isinstance(version, int) else 0


class Disagreement(NamedTuple):
    """A key of which the state remembers something else than what stands in the table.

    ``remembered`` is what the state says of the value, ``published`` the value itself;
    ``None`` is nothing.
    """

    key: bytes
    remembered: bytes | None
    published: bytes | None


def disagreements(
    state: ShardState, published: Mapping[bytes, bytes]
) -> Iterator[Disagreement]:
    """Yield where ``state`` and the values that stand in a table disagree.

    A state remembers the version and the price, the amounts, or the hash of the fields of
    what it has published; not when it was observed, nor by which sources.
    """
    remembered: dict[bytes, bytes] = {}
    for state_key, value in state.records():
        try:
            key = _published_key(state_key, value)
            if key is not None:
                said = _REMEMBERED[_kind(key)](orjson.loads(value))
                remembered[key] = canonical(said)
        except _UNREADABLE:
            remembered[state_key] = value
    for key in sorted(remembered.keys() | published.keys()):
        ours, theirs = remembered.get(key), published.get(key)
        if ours is None or theirs is None or ours != _content(key, theirs):
            yield Disagreement(key, ours, theirs)


# What comes of reading something that no fold has written.
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError)


def _kind(key: bytes) -> bytes:
    return key.partition(b":")[0]


def _content(key: bytes, value: bytes) -> bytes | None:
    """Return what a state remembers of a published value; ``None`` if it is no such value."""
    try:
        return canonical(_PUBLISHED[_kind(key)](orjson.loads(value)))
    except _UNREADABLE:
        return None


def _price(said: Any) -> dict[str, Any]:
    return {"usd": said["usd"], "version": said["version"]}


def _token_published(said: Any) -> dict[str, Any]:
    digest = sha256(canonical(said["fields"])).hexdigest()
    return {"published": digest, "version": said["version"]}


def _token_remembered(said: Any) -> dict[str, Any]:
    return {"published": said["published"], "version": said["version"]}


def _balance(said: Any) -> dict[str, Any]:
    mainnet = said["mainnet"]
    amounts = ("balance", "totalSent", "totalReceived")
    return {
        "mainnet": mainnet and {name: mainnet[name] for name in amounts},
        "subnets": {
            subnet_id: part["balance"]
            for subnet_id, part in said["subnets"].items()
            if part.get("held", True)
        },
        "version": said["version"],
    }


# What is compared, by the kind of a key: of a value, and of a state.
_PUBLISHED: Final = {
    b"price": _price,
    b"token": _token_published,
    b"balance": _balance,
}
_REMEMBERED: Final = {**_PUBLISHED, b"token": _token_remembered}
