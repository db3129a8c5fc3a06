"""Raw records read as observations, or refused; never an exception for what they hold."""

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter
from typing import Any, Final, NamedTuple

import orjson
from pydantic import TypeAdapter

from schemas.amounts import PriceText
from schemas.balances import BalanceObserved
from schemas.base import MAX_INT, Malformed, SourceName, canonical, decoder, encode
from schemas.ids import parse_contract_id
from schemas.prices import Market, PriceObserved
from schemas.rejects import Reason
from schemas.tokens import TokenObserved

from .prices import PriceWord
from .rules import TOMBSTONE, WRONG_KEY, Refused

_CACHED = 65_536


class Seen(NamedTuple):
    """An observation with its place and its bytes in the log."""

    observed_at: int
    said: Any
    offset: int
    value: bytes

    @property
    def sha256(self) -> str:
        """The SHA-256 of the record's value."""
        return sha256(self.value).hexdigest()


def _reader(
    kind: Any, owner: Callable[[Any], str]
) -> Callable[[bytes | None, bytes | None, int], Seen | Refused]:
    """Return a function that reads a record as ``kind``, whose key is the owner's id."""
    decode = decoder(kind)

    def read(key: bytes | None, value: bytes | None, offset: int) -> Seen | Refused:
        if value is None:
            return TOMBSTONE
        said = decode(value)
        if isinstance(said, Malformed):
            return Refused(Reason.SCHEMA, said.field)
        if owner(said).encode() != key:
            return WRONG_KEY
        return Seen(said.observed_at, said, offset, value)

    return read


read_balance: Final = _reader(BalanceObserved, lambda said: str(said.user_id))
read_token: Final = _reader(TokenObserved, lambda said: str(said.contract_id))
_read_price: Final = _reader(PriceObserved, lambda said: str(said.contract_id))

_price_fields: Final = itemgetter(
    "contractId",
    "market",
    "observedAt",
    "schema",
    "sequence",
    "source",
    "sourceTime",
    "usd",
)
_SCHEMA, _FIELDS = "price.observed/1", len(PriceObserved.model_fields)
_MARKET_FIELDS = len(Market.model_fields)
_check_market: Final = TypeAdapter(Market).validator.validate_python
_check_usd: Final = TypeAdapter(PriceText).validator.validate_python
_check_source: Final = TypeAdapter(SourceName).validator.validate_python
_new: Final = tuple.__new__


def read_price(
    key: bytes | None, value: bytes | None, offset: int
) -> PriceWord | Refused:
    """Read a record of ``prices.raw``.

    What has every field as it should be is read without the model, in half the time; all
    else, all that will be refused among it, by the model.
    """
    try:
        said = orjson.loads(value)  # type: ignore[arg-type] # None raises, as bad JSON does
        contract_id, market, observed_at, schema, sequence, source, source_time, usd = (
            _price_fields(said)
        )
        if (
            type(observed_at) is int
            and type(sequence) is int
            and 0 <= observed_at <= MAX_INT
            and 0 <= sequence <= MAX_INT
            and schema == _SCHEMA
            and len(said) == _FIELDS
            and _key_of(contract_id) == key
            and (source_time is None or _is_count(source_time))
        ):
            _check_usd(usd, strict=True)
            text = None if market is None else _market_text(market)
            number = Decimal(usd)
            word = (observed_at, sequence, _source(source), usd, number, text, offset)
            return _new(PriceWord, word)
    except (KeyError, TypeError, ValueError):
        pass
    return _read_by_model(key, value, offset)


def _read_by_model(
    key: bytes | None, value: bytes | None, offset: int
) -> PriceWord | Refused:
    seen = _read_price(key, value, offset)
    if isinstance(seen, Refused):
        return seen
    said: PriceObserved = seen.said
    return PriceWord(
        said.observed_at,
        said.sequence,
        said.source,
        said.usd,
        Decimal(said.usd),
        encode(said.market).decode() if said.market else None,
        offset,
    )


def _is_count(number: Any) -> bool:
    # A bool is an int, but not here.
    return type(number) is int and 0 <= number <= MAX_INT


@lru_cache(_CACHED)
def _key_of(contract_id: str) -> bytes | None:
    """Return the key of a contract id in normal form; ``None`` for all else."""
    return (
        contract_id.encode() if parse_contract_id(contract_id) == contract_id else None
    )


@lru_cache(_CACHED)
def _source(source: str) -> str:
    """Return the name of a source, the same object each time. Raises for all else."""
    return str(_check_source(source, strict=True))


def _market_text(market: dict[str, Any]) -> str:
    """Return a market with all its fields as canonical JSON. Raises for all else."""
    if len(market) != _MARKET_FIELDS:
        raise ValueError("fields are left out")
    _check_market(market, strict=True, by_alias=True, by_name=False)
    return canonical(market).decode()
