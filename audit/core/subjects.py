"""What can be explained: a key of the public table, or one observation."""

from dataclasses import dataclass
from typing import TypeAlias

from schemas.ids import parse_contract_id, parse_user_id
from schemas.journal import Origin
from schemas.latest import parse_balance_key
from schemas.topics import BALANCES_RAW, PRICES_RAW, RAW, TOKENS_RAW

# No log has so many records that more digits would be needed.
_MAX_DIGITS = 15
_TOPICS = {b"price": PRICES_RAW, b"token": TOKENS_RAW}


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the table, and by whose observations of which topic it comes about."""

    key: bytes
    topic: str
    owner: bytes
    contract_id: str


Subject: TypeAlias = Key | Origin


def subject_in(text: str) -> Subject | None:
    """Read what is to be explained; ``None`` if it is neither key nor observation."""
    if text.startswith(("reject:", *RAW)):
        return _origin(text.removeprefix("reject:"))
    if not text.isascii():
        # No id has anything else, and what a shell passes on may not even be text.
        return None
    key = text.encode()
    kind, _, rest = key.partition(b":")
    contract = rest.decode()
    if kind in _TOPICS and parse_contract_id(contract) == contract:
        return Key(key, _TOPICS[kind], rest, contract)
    user, token = parse_balance_key(key) or ("", "")
    if parse_user_id(user) == user and parse_contract_id(token) == token:
        return Key(key, BALANCES_RAW, user.encode(), token)
    return None


def _origin(text: str) -> Origin | None:
    topic, _, place = text.partition(":")
    shard, _, offset = place.partition(":")
    if topic in RAW and _is_count(shard) and _is_count(offset):
        return Origin(topic, int(shard), int(offset))
    return None


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS
