"""What the three price sources say: kraxel, stxtools, internal."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ingest.core.normalize.body import (
    Unusable,
    Upstream,
    number,
    parse,
    read,
    shape,
    whole,
)
from schemas.amounts import price_text, ratio_text
from schemas.base import MAX_INT
from schemas.ids import STX, ContractId, Network, parse_contract_id
from schemas.prices import Market, PriceObserved

# `internal` marks guesses; the original takes what is above, strictly.
_MIN_CONFIDENCE = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class PriceSaid:
    """One row of a source that is a price."""

    contract_id: ContractId
    usd: str
    source_time: int | None = None
    market: Market | None = None


@dataclass(frozen=True, slots=True)
class PriceList:
    """The prices of one answer, one a token.

    ``silent`` rows say that there is no price; ``refused`` ones cannot be used: not a
    token of this network, not a price, or a second row of one token. ``rows`` is how
    many rows the answer had, to tell a whole list from a page of it.
    """

    prices: tuple[PriceSaid, ...]
    silent: int
    refused: int
    rows: int


class _Row(Upstream):
    contract_id: str
    price: Decimal | int | None
    source_time: Any = None
    market: Market | None = None


def kraxel(body: bytes, network: Network) -> PriceList | Unusable:
    """Read ``{contractId: number}``."""
    said = parse(body)
    if isinstance(said, Unusable):
        return said
    if not isinstance(said, dict):
        return Unusable("unexpected shape at the top")
    return _listed(list(said.items()), lambda row: _made(*row), network)


class _Metrics(Upstream):
    price_usd: Any = None
    price_change_1d: Any = None
    price_change_7d: Any = None
    marketcap_usd: Any = None


class _StxtoolsRow(Upstream):
    contract_id: str
    metrics: _Metrics


class _Data(Upstream):
    data: list[Any]


def stxtools(body: bytes, network: Network) -> PriceList | Unusable:
    """Read ``{data: [{contract_id, metrics: {price_usd, …}}]}``."""
    said = read(_Data, body)
    if isinstance(said, Unusable):
        return said
    return _listed(said.data, _stxtools_row, network)


def _stxtools_row(said: Any) -> _Row | None:
    row = shape(_StxtoolsRow, said)
    if isinstance(row, Unusable):
        return None
    market = Market(
        change24h=_ratio(row.metrics.price_change_1d),
        change7d=_ratio(row.metrics.price_change_7d),
        market_cap=_ratio(row.metrics.marketcap_usd),
    )
    known = market if market != Market() else None
    return _made(row.contract_id, row.metrics.price_usd, market=known)


class _InternalRow(Upstream):
    tokenId: str  # noqa: N815 - the upstream's name
    usdPrice: Any = None  # noqa: N815
    confidence: Any = None
    lastUpdated: Any = None  # noqa: N815


class _Internal(_Data):
    status: str


def internal(body: bytes, network: Network) -> PriceList | Unusable:
    """Read ``{status, data: [{tokenId, usdPrice, confidence, lastUpdated}]}``."""
    said = read(_Internal, body)
    if isinstance(said, Unusable):
        return said
    if said.status != "success":
        return Unusable("status is not success")
    return _listed(said.data, _internal_row, network)


def _internal_row(said: Any) -> _Row | None:
    row = shape(_InternalRow, said)
    if isinstance(row, Unusable):
        return None
    confidence = number(row.confidence)
    sure = confidence is not None and confidence > _MIN_CONFIDENCE
    price = row.usdPrice if sure else None
    return _made(row.tokenId, price, source_time=row.lastUpdated)


# Of each source: how its answer is read.
SOURCES: dict[str, Callable[[bytes, Network], PriceList | Unusable]] = {
    "kraxel": kraxel,
    "stxtools": stxtools,
    "internal": internal,
}


def observed(
    prices: Iterable[PriceSaid], *, source: str, observed_at: int
) -> list[PriceObserved]:
    """Return the observations of one answer, all at the moment it was asked for."""
    return [
        PriceObserved(
            contract_id=said.contract_id,
            source=source,
            usd=said.usd,
            observed_at=observed_at,
            source_time=said.source_time,
            market=said.market,
        )
        for said in prices
    ]


def _made(
    key: str, price: Any, *, source_time: Any = None, market: Market | None = None
) -> _Row | None:
    exact = number(price)
    if price is not None and exact is None:
        return None
    return _Row(contract_id=key, price=exact, source_time=source_time, market=market)


def _listed(
    rows: Sequence[Any], make: Callable[[Any], _Row | None], network: Network
) -> PriceList:
    # Of `stx` and `.stx` the exact spelling counts: it goes first, and the first wins.
    ordered = sorted(
        map(make, rows), key=lambda row: row is None or row.contract_id != STX
    )
    prices: dict[ContractId, PriceSaid] = {}
    silent = refused = 0
    for row in ordered:
        if row is not None and row.price is None:
            # No price is no observation, above all not one of 0.
            silent += 1
            continue
        said = _said(row, network)
        if said is None or said.contract_id in prices:
            refused += 1
        else:
            prices[said.contract_id] = said
    return PriceList(tuple(prices.values()), silent, refused, len(ordered))


def _said(row: _Row | None, network: Network) -> PriceSaid | None:
    if row is None or row.price is None:
        return None
    contract, usd = parse_contract_id(row.contract_id, network), price_text(row.price)
    if contract is None or usd is None:
        return None
    return PriceSaid(contract, usd, _moment(row.source_time), row.market)


def _moment(said: Any) -> int | None:
    moment = whole(said)
    return moment if moment is not None and moment <= MAX_INT else None


def _ratio(said: Any) -> str | None:
    exact = number(said)
    return None if exact is None else ratio_text(exact)
