"""Raw records read as observations, or refused; never an exception for what they hold."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache, partial
from hashlib import sha256
from itertools import chain
from operator import attrgetter
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
from .prices import Quote, quote_time
from .rules import TOMBSTONE, WRONG_KEY, Refused

_CACHED = 65_536
# So many prices are read at once: what was read of them is still in the cache when it is
# folded. Where one of them is not as our encoder writes it, so many, and then each alone:
# no byte is looked at more than once for each of these sizes, and once by the model.
_PIECE = 250
_SMALLER_PIECE = 16
# What our encoder writes of a price is shorter than this. Anything longer goes to the model
# at once, so that a piece is never large.
_ORDINARY_BYTES = 4_096
_new: Final = object.__new__
_key_of: Final = attrgetter("key")


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


Said = Quote | Seen | Refused


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

# What our encoder writes of an observation. Numbers of up to 15 digits: all of them are
# below 2**53. No piece of it can match a line's end.
_NUMBER = "(?:0|[1-9][0-9]{0,14}+)"
_ORDINARY: Final = (
    r'\{"contractId":"([^"]*+)","market":(null|\{[^{}]*+\}),'
    rf'"observedAt":({_NUMBER}),'
    rf'("schema":"price\.observed/1","sequence":{_NUMBER},"source":"[^"]*+"),'
    rf'"sourceTime":(null|{_NUMBER}),"usd":"({PRICE_PATTERN})"\}}'
)
_find_lines: Final = re.compile(f"^{_ORDINARY}$".encode(), re.MULTILINE).findall
_SPEAKER: Final = re.compile(
    r'"schema":"price\.observed/1","sequence":([0-9]+),"source":"(.*)"'
).fullmatch
_MARKET_FIELDS = len(Market.model_fields)
_check_market: Final = TypeAdapter(Market).validator.validate_python
_check_source: Final = TypeAdapter(SourceName).validator.validate_python


def read_price(record: InputRecord) -> Quote | Refused:
    """Read a record of ``prices.raw``."""
    (said,) = _read_piece([record])
    return said


def read_prices(records: Sequence[InputRecord]) -> Iterator[Quote | Refused]:
    """Read records of ``prices.raw``, some ahead of the one that is taken.

    What is written as our encoder writes it is read without the model and many at once,
    in a third of the time; all else, all that will be refused among it, by the model.
    Nothing is read before it is taken but the rest of its piece.
    """
    return chain.from_iterable(map(_read_piece, _pieces(records, _PIECE)))


def _pieces(
    records: Sequence[InputRecord], size: int
) -> Iterator[Sequence[InputRecord]]:
    return (records[n : n + size] for n in range(0, len(records), size))


def _read_piece(records: Sequence[InputRecord]) -> Iterable[Quote | Refused]:
    try:
        return _read_ordinary(records)
    except ValueError:
        if len(records) == 1:
            return [_read_by_model(records[0])]
    # One of them is not ordinary, or several: look for them in smaller pieces.
    size = _SMALLER_PIECE if len(records) > _SMALLER_PIECE else 1
    return chain.from_iterable(map(_read_piece, _pieces(records, size)))


def _read_ordinary(records: Sequence[InputRecord]) -> list[Quote | Refused]:
    """Read records written as our encoder writes them. Raises ``ValueError`` for others."""
    owners, markets, times, speakers, source_times, prices = zip(
        *_lines(records), strict=True
    )
    if owners != tuple(map(_key_of, records)) or not all(map(_is_id, owners)):
        raise ValueError("one is under another key")
    if max(map(len, prices)) > MAX_PRICE_TEXT:
        raise ValueError("a price is too long")
    quotes: list[Quote | Refused] = []
    texts = list(map(bytes.decode, prices))
    columns = map(int, times), map(_speaker, speakers), texts, map(Decimal, texts)
    for record, market, source_time, observed_at, (
        sequence,
        source,
    ), usd, number in zip(records, markets, source_times, *columns, strict=True):
        # Not Quote(…): its constructor takes twice as long.
        quote = _new(Quote)
        quote.observed_at = quote.time = quote.since = observed_at
        quote.sequence, quote.changes = sequence, ()
        quote.source, quote.usd, quote.number = source, usd, number
        quote.market = None if market == b"null" else _market_text(market)
        quote.offset = record.offset
        if source_time != b"null":
            quote.time = quote_time(observed_at, int(source_time))
        quotes.append(quote)
    return quotes


def _lines(records: Sequence[InputRecord]) -> list[tuple[bytes, ...]]:
    """Return the fields of each record, as text. Raises ``ValueError`` for others."""
    values = [record.value or b"" for record in records]
    if max(map(len, values)) > _ORDINARY_BYTES:
        raise ValueError("one is longer than what our encoder writes")
    joined = b"\n".join(values)
    found = _find_lines(joined)
    # A value of several lines must not pass for several.
    if len(found) != len(records) or joined.count(b"\n") != len(records) - 1:
        raise ValueError("one is not as our encoder writes it")
    return found


def _read_by_model(record: InputRecord) -> Quote | Refused:
    seen = _read_price(record)
    if isinstance(seen, Refused):
        return seen
    said: PriceObserved = seen.said
    return Quote(
        said.observed_at,
        said.sequence,
        said.source,
        said.usd,
        Decimal(said.usd),
        encode(said.market).decode() if said.market else None,
        seen.offset,
        time=quote_time(said.observed_at, said.source_time),
        since=said.observed_at,
    )


@lru_cache(_CACHED)
def _is_id(text: bytes) -> bool:
    """Return True for a contract id in its normal form; raise ``ValueError`` for all else.

    What raises is not kept: the cache holds ids only, whatever the records say.
    """
    contract_id = text.decode("ascii", "replace")
    if parse_contract_id(contract_id) != contract_id:
        raise ValueError("not a contract id in its normal form")
    return True


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
READERS: Final[Mapping[str, Callable[[Sequence[InputRecord]], Iterable[Said]]]] = {
    PRICES_RAW: read_prices,
    BALANCES_RAW: partial(map, read_balance),
    TOKENS_RAW: partial(map, read_token),
}
