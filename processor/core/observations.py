"""Raw records read as observations, or refused; never an exception for what they hold."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple

import orjson
from pydantic import TypeAdapter

from schemas.amounts import MAX_PRICE_TEXT, PRICE_PATTERN
from schemas.balances import BalanceObserved
from schemas.base import Malformed, SourceName, canonical, decoder, encode
from schemas.ids import parse_contract_id
from schemas.prices import Market, PriceObserved
from schemas.rejects import Reason
from schemas.tokens import TokenObserved
from schemas.topics import BALANCES_RAW, PRICES_RAW, TOKENS_RAW

from .journal import InputRecord
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


Said = PriceWord | Seen | Refused


def _reader(
    kind: Any, owner: Callable[[Any], str]
) -> Callable[[InputRecord], Seen | Refused]:
    """Return a function that reads a record as ``kind``, whose key is the owner's id."""
    decode = decoder(kind)

    def read(record: InputRecord) -> Seen | Refused:
        value = record.value
        if value is None:
            return TOMBSTONE
        said = decode(value)
        if isinstance(said, Malformed):
            return Refused(Reason.SCHEMA, said.field)
        if owner(said).encode() != record.key:
            return WRONG_KEY
        return Seen(said.observed_at, said, record.offset, value)

    return read


read_balance: Final = _reader(BalanceObserved, lambda said: str(said.user_id))
read_token: Final = _reader(TokenObserved, lambda said: str(said.contract_id))
_read_price: Final = _reader(PriceObserved, lambda said: str(said.contract_id))

# What our encoder writes of an observation, from the value of ``market`` on. Numbers of up
# to 15 digits: all of them are below 2**53.
_NUMBER = "(?:0|[1-9][0-9]{0,14}+)"
_REST: Final = re.compile(
    rf'(null|\{{[^{{}}]*+\}}),"observedAt":({_NUMBER}),'
    rf'("schema":"price\.observed/1","sequence":{_NUMBER},"source":"[^"]*+"),'
    rf'"sourceTime":(?:null|{_NUMBER}),"usd":"({PRICE_PATTERN})"\}}'.encode()
).fullmatch
_SPEAKER: Final = re.compile(
    r'"schema":"price\.observed/1","sequence":([0-9]+),"source":"(.*)"'
).fullmatch
_MARKET_FIELDS = len(Market.model_fields)
_check_market: Final = TypeAdapter(Market).validator.validate_python
_check_source: Final = TypeAdapter(SourceName).validator.validate_python


def read_price(record: InputRecord) -> PriceWord | Refused:
    """Read a record of ``prices.raw``.

    What is written as our encoder writes it is read without the model, in half the time;
    all else, all that will be refused among it, by the model.
    """
    value, start = record.value, _start(record.key)
    if start is None or value is None or not value.startswith(start):
        return _read_by_model(record)
    match = _REST(value, len(start))
    if match is None:
        return _read_by_model(record)
    market, observed_at, speaker, usd = match.groups()
    if len(usd) > MAX_PRICE_TEXT:
        return _read_by_model(record)
    # Not PriceWord(…): its constructor takes twice as long.
    word = object.__new__(PriceWord)
    try:
        word.sequence, word.source = _speaker(speaker)
        word.market = None if market == b"null" else _market_text(market)
    except ValueError:
        return _read_by_model(record)
    word.observed_at, word.offset = int(observed_at), record.offset
    word.usd = text = usd.decode()
    word.number = Decimal(text)
    return word


def _read_by_model(record: InputRecord) -> PriceWord | Refused:
    seen = _read_price(record)
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
        seen.offset,
    )


@lru_cache(_CACHED)
def _start(key: bytes | None) -> bytes | None:
    """Return how an observation under this key begins; ``None`` if it is no id."""
    contract_id = (key or b"").decode("ascii", "replace")
    if parse_contract_id(contract_id) != contract_id:
        return None
    return f'{{"contractId":"{contract_id}","market":'.encode()


@lru_cache(_CACHED)
def _speaker(text: bytes) -> tuple[int, str]:
    """Return sequence and source, the same object each time. Raises for no source."""
    match = _SPEAKER(text.decode())
    sequence, source = match.groups() if match else ("", "")
    return int(sequence), str(_check_source(source, strict=True))


def _market_text(text: bytes) -> str:
    """Return a market written canonically, with all its fields. Raises for all else."""
    market = orjson.loads(text)
    _check_market(market, strict=True, by_alias=True, by_name=False)
    if len(market) != _MARKET_FIELDS or canonical(market) != text:
        raise ValueError("not as our encoder writes it")
    return text.decode()


# By topic.
READERS: Final[Mapping[str, Callable[[InputRecord], Said]]] = {
    PRICES_RAW: read_price,
    BALANCES_RAW: read_balance,
    TOKENS_RAW: read_token,
}
