"""Keys of the published table as people write them: in each spelling that clients use."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from itertools import islice

from app.errors import OperatorError, RequestError
from schemas.ids import parse_contract_id, parse_user_id

VALUES = ("price", "token", "balance")
# Records of a shard about itself; shown only when a pattern names them.
OF_SHARDS = ("watermark", "observed", "unquoted", "terms")
KINDS = (*VALUES, *OF_SHARDS, "log")
SPELLINGS = (
    "price:ID, token:ID, balance:USER:ID; ID alone is price:ID, a USER alone all of its "
    "balances, and `stx` is `.stx`; a kind alone, as `price`, or * matches several"
)
# Comparing takes time: of a very long list only the first keys are compared.
_MOST_COMPARED = 20_000
_NEAREST, _LIKENESS = 3, 0.6


class UnknownKind(RequestError):
    """A key begins with a kind that there is not."""

    def __init__(self, text: str, kind: str, nearest: Sequence[str] = ()) -> None:
        close = get_close_matches(kind, KINDS, n=1) or nearest
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        what = "no id and no" if text == kind else "no"
        super().__init__(f"{text!r}: {what} kind of key ({', '.join(KINDS)}){hint}")
        self._text, self._kind = text, kind

    def with_nearest(self, nearest: Sequence[str]) -> "UnknownKind":
        """Return the same, with the keys that are nearest to it."""
        return UnknownKind(self._text, self._kind, nearest)


class NamesNothing(OperatorError):
    """A key is of nothing that the log holds."""

    def __init__(self, text: str, nearest: Sequence[str] = ()) -> None:
        super().__init__(names_nothing(text, nearest))


def names_nothing(text: str, nearest: Sequence[str] = ()) -> str:
    """Say that a key names nothing in the log, and which ones are nearest to it."""
    hint = f"; nearest: {', '.join(nearest)}" if nearest else ""
    return f"{text!r} names nothing in this log{hint}"


def pattern(text: str) -> str:
    """Return a key or a pattern as a glob over whole keys, with ids in their normal form.

    Raises ``UnknownKind``.
    """
    kind, colon, rest = text.partition(":")
    # The id of an asset holds colons itself.
    if not colon or parse_contract_id(text) is not None:
        return _alone(text)
    if kind not in KINDS and not _is_glob(kind):
        raise UnknownKind(text, kind)
    if kind == "balance":
        user, _, token = rest.partition(":")
        return f"balance:{_user(user)}:{_contract(token) if token else '*'}"
    return f"{kind}:{_contract(rest) if kind in VALUES else rest}"


def _alone(text: str) -> str:
    if text in KINDS or any(fnmatchcase(kind, text) for kind in KINDS):
        return f"{text}:*"
    contract, user = parse_contract_id(text), parse_user_id(text)
    if contract is not None or _is_glob(text):
        return f"price:{contract or text}"
    if user is None:
        raise UnknownKind(text, text)
    return f"balance:{user}:*"


def _contract(text: str) -> str:
    return parse_contract_id(text) or text or "*"


def _user(text: str) -> str:
    return parse_user_id(text) or text or "*"


def _is_glob(text: str) -> bool:
    return any(character in text for character in "*?[")


def matches(key: bytes, patterns: Sequence[str]) -> bool:
    """Tell whether a key fits one of the globs; without any all but those of shards do."""
    text = key.decode(errors="replace")
    if not patterns:
        return text.partition(":")[0] not in OF_SHARDS
    return any(fnmatchcase(text, each) for each in patterns)


def nearest(text: str, keys: Iterable[bytes]) -> list[str]:
    """Return the few keys of a table that are most like a text.

    Those that hold it come first, then those with a name like it: the name of a contract
    is what stands after the point.
    """
    kind, _, rest = text.rpartition(":")
    wanted = rest.strip("*.").lower()
    kind = kind.partition(":")[0] if kind.partition(":")[0] in VALUES else "price"
    known = [
        key.decode(errors="replace")
        for key in islice(sorted(keys), _MOST_COMPARED)
        if key.startswith(f"{kind}:".encode())
    ]
    within = [key for key in known if wanted and wanted in key.lower()]
    names = {key.rpartition(".")[2].lower(): key for key in known}
    close = get_close_matches(wanted, names, n=_NEAREST, cutoff=_LIKENESS)
    found = dict.fromkeys([*within, *(names[name] for name in close)])
    return list(found)[:_NEAREST]
