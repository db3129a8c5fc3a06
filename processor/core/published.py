"""Finds values that a shard has published, by its state, and that ``latest`` lacks."""

from collections.abc import Iterator, Mapping

import orjson

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
