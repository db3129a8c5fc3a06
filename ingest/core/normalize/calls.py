"""Answers of read-only contract calls: a balance, a number of decimals, or neither."""

from typing import Any

from ingest.core.clarity import BadClarity, decode, unsigned
from ingest.core.headers import shown
from ingest.core.normalize.body import Unusable, Upstream, read
from schemas.amounts import MAX_DECIMALS


class _Call(Upstream):
    okay: bool
    result: Any = None
    cause: Any = None


def called(body: bytes) -> int | Unusable:
    """Return the unsigned integer that a call answered, with or without ``ok``.

    A sound answer that holds none is the contract's, not the node's: ``declined``.

    ``okay`` comes first: a failed call is HTTP 200 too, and an ``(err uN)`` carries an
    error code. Both are no amount. Asking again helps where Hiro itself asks again.
    """
    said = read(_Call, body)
    if isinstance(said, Unusable):
        return said
    if not said.okay:
        return _failed(said.cause if isinstance(said.cause, str) else "")
    try:
        amount = unsigned(decode(said.result if isinstance(said.result, str) else ""))
    except BadClarity as error:
        return Unusable(f"the result is no Clarity value: {error}", declined=True)
    if amount is None:
        return Unusable(
            "the result is not an unsigned integer", again=False, declined=True
        )
    return amount


def decimals(body: bytes) -> int | Unusable:
    """Return the decimals that ``get-decimals`` answered."""
    said = called(body)
    if isinstance(said, int) and said > MAX_DECIMALS:
        return Unusable(
            "more decimals than an amount has digits", again=False, declined=True
        )
    return said


def _failed(cause: str) -> Unusable:
    passing = cause.startswith("Runtime") or "NoSuchContract" in cause
    return Unusable(f"the call failed: {shown(cause)}", again=passing, declined=True)
