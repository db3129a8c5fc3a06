"""Ids in the form in which a server answers, and sets of them."""

from collections.abc import Iterable

# A member of a set of ids that stands for all of them; no id looks like it.
ALL = "*"
EVERYTHING = frozenset({ALL})
NOTHING: frozenset[str] = frozenset()

# An address, a contract and an asset have 41, 40 and 128 characters; what is longer makes
# a message that a server refuses as a whole.
MAX_ID = 256

# Letters that addresses do not use are read as the digits they look like.
_ALIKE = str.maketrans("OIL", "011")


def normal(text: str) -> str:
    """Return a contract or user id in normal form; what is none stays as it is.

    The address in capitals, ``stx`` as ``.stx``, without the asset after ``::``.
    """
    contract, _, _ = text.partition("::")
    if contract == "stx":
        return ".stx"
    address, dot, name = contract.partition(".")
    if address[:1] not in {"S", "s"}:
        return contract  # no address
    return f"{address.upper().translate(_ALIKE)}{dot}{name}"


def selection(ids: Iterable[str]) -> frozenset[str]:
    """Return the set that is meant by ids as written; none of them means all.

    Raises ``TypeError`` for what is no text, ``ValueError`` for a text that cannot be sent:
    one longer than any id, or ``*``, which could be taken for all.
    """
    return frozenset(map(_sendable, ids)) or EVERYTHING


def _sendable(each: str) -> str:
    if not isinstance(each, str):
        raise TypeError(f"an id is a str, not {type(each).__name__}")
    if len(each) > MAX_ID:
        raise ValueError(f"no id has {len(each)} characters: {each[:40]!r}…")
    found = normal(each)
    if found == ALL:
        raise ValueError("'*' is no id: leave the ids out to subscribe to all")
    return found


def selects(wanted: frozenset[str], each: str) -> bool:
    """Tell whether what belongs to an id is in a selection."""
    return ALL in wanted or each in wanted
