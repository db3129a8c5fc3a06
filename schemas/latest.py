"""The public table: its keys, and what stands under each."""

from collections.abc import Callable
from typing import TypeAlias

from schemas.balances import Balance
from schemas.base import Malformed, decoder
from schemas.ids import ContractId, UserId
from schemas.log import LogIdentity, Observed, Terms, Unquoted, Watermark
from schemas.prices import Price
from schemas.tokens import Token

Latest: TypeAlias = (
    Price | Token | Balance | Watermark | Observed | Unquoted | Terms | LogIdentity
)

IDENTITY_KEY = b"log:identity"


def price_key(contract_id: ContractId) -> bytes:
    """Return ``price:ID``."""
    return b"price:" + contract_id.encode()


def token_key(contract_id: ContractId) -> bytes:
    """Return ``token:ID``."""
    return b"token:" + contract_id.encode()


def balance_key(user_id: UserId, contract_id: ContractId) -> bytes:
    """Return ``balance:USER:ID``; neither part holds a colon."""
    return f"balance:{user_id}:{contract_id}".encode()


def watermark_key(shard: int) -> bytes:
    """Return ``watermark:SHARD``."""
    return f"watermark:{shard}".encode()


def observed_key(shard: int) -> bytes:
    """Return ``observed:SHARD``."""
    return f"observed:{shard}".encode()


def unquoted_key(shard: int) -> bytes:
    """Return ``unquoted:SHARD``."""
    return f"unquoted:{shard}".encode()


def terms_key(shard: int) -> bytes:
    """Return ``terms:SHARD``."""
    return f"terms:{shard}".encode()


_decoders: dict[bytes, Callable[[bytes], Latest | Malformed]] = {
    b"price": decoder(Price),
    b"token": decoder(Token),
    b"balance": decoder(Balance),
    b"watermark": decoder(Watermark),
    b"observed": decoder(Observed),
    b"unquoted": decoder(Unquoted),
    b"terms": decoder(Terms),
    b"log": decoder(LogIdentity),
}


def decode_latest(key: bytes, value: bytes) -> Latest | Malformed:
    """Read a record of ``latest`` or ``changes`` that is no tombstone."""
    decode = _decoders.get(key.partition(b":")[0])
    return decode(value) if decode else Malformed(field="key")


def parse_balance_key(key: bytes) -> tuple[UserId, ContractId] | None:
    """Return user and token of a ``balance:`` key; ``None`` for any other."""
    match key.decode(errors="replace").split(":"):
        case ["balance", user, contract]:
            return UserId(user), ContractId(contract)
        case _:
            return None
