"""What the registries say of tokens: Charisma's records and Hiro's metadata."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

from ingest.core.normalize.body import (
    Unusable,
    Upstream,
    decimal,
    each,
    parse,
    read,
    shape,
    text,
    whole,
)
from schemas.amounts import MAX_AMOUNT, MAX_DECIMALS, ratio_text
from schemas.ids import ContractId, Network, asset_name, parse_contract_id
from schemas.tokens import TokenFields


@dataclass(frozen=True, slots=True)
class TokenSaid:
    """What one record says of one token."""

    contract_id: ContractId
    fields: TokenFields


@dataclass(frozen=True, slots=True)
class TokenList:
    """The records of one answer, one a token; ``refused`` ones name no token of ours."""

    tokens: tuple[TokenSaid, ...]
    refused: int
    total: int | None = None


class _Own(NamedTuple):
    """What one registry alone has in its records: the contract's name, and more fields."""

    contract: str
    fields: Mapping[str, Any]


class _Record(Upstream):
    """What every registry says of a token, under the same names."""

    name: Any = None
    symbol: Any = None
    decimals: Any = None
    description: Any = None
    token_uri: Any = None
    total_supply: Any = None


_Row = TypeVar("_Row", bound=_Record)
# 2009 and 2100: what is outside is no moment of a record.
_FIRST_MS, _LAST_MS = 1_230_768_000_000, 4_102_444_800_000


class _Charisma(_Record):
    contractId: str  # noqa: N815 - the upstream's names
    type: Any = None
    identifier: Any = None
    image: Any = None
    base: Any = None
    lastUpdated: Any = None  # noqa: N815
    tokenAContract: Any = None  # noqa: N815
    tokenBContract: Any = None  # noqa: N815
    lpRebatePercent: Any = None  # noqa: N815
    externalPoolId: Any = None  # noqa: N815
    engineContractId: Any = None  # noqa: N815
    verified: Any = None


def charisma(body: bytes, network: Network) -> TokenList | Unusable:
    """Read the registry's bare array of records.

    A field that cannot be used is a field nobody said: records are dirty, and a bad
    image must not cost a token its decimals.
    """
    said = parse(body)
    if isinstance(said, Unusable):
        return said
    if not isinstance(said, list):
        return Unusable("unexpected shape at the top")
    return _listed(said, _Charisma, partial(_charisma, network=network), network)


def _charisma(row: _Charisma, network: Network) -> _Own:
    return _Own(
        row.contractId,
        {
            "type": text(row.type),
            "identifier": text(row.identifier),
            "image": text(row.image),
            "base": _base(row.base, network),
            "last_updated": _moment(row.lastUpdated),
            "token_a_contract": text(row.tokenAContract),
            "token_b_contract": text(row.tokenBContract),
            "lp_rebate_percent": _percent(row.lpRebatePercent),
            "external_pool_id": text(row.externalPoolId),
            "engine_contract_id": text(row.engineContractId),
            "verified": row.verified if isinstance(row.verified, bool) else None,
        },
    )


class _Hiro(_Record):
    contract_principal: Any = None
    asset_identifier: Any = None
    image_uri: Any = None
    image_canonical_uri: Any = None


class _HiroList(Upstream):
    total: int
    results: list[Any]


def hiro(body: bytes, network: Network) -> TokenList | Unusable:
    """Read a page of ``/metadata/v1/ft``.

    It leaves ``decimals`` out where they are 0: absent is unknown, not 0 and not 6.
    """
    said = read(_HiroList, body)
    if isinstance(said, Unusable):
        return said
    return _listed(said.results, _Hiro, _hiro, network, total=said.total)


def _hiro(row: _Hiro) -> _Own:
    asset = text(row.asset_identifier) or ""
    return _Own(
        text(row.contract_principal) or asset,
        {
            "identifier": text(asset_name(asset)),
            "image": text(row.image_uri) or text(row.image_canonical_uri),
        },
    )


def _listed(
    rows: list[Any],
    model: type[_Row],
    own: Callable[[_Row], _Own],
    network: Network,
    *,
    total: int | None = None,
) -> TokenList:
    """Read the rows of a registry, each as ``model``, of which ``own`` is what it adds."""

    def said(row: Any) -> TokenSaid | None:
        record = shape(model, row)
        return None if isinstance(record, Unusable) else _said(record, own, network)

    found, refused = each(rows, said)
    return _one_a_token(found, refused, total=total)


def _said(
    record: _Row, own: Callable[[_Row], _Own], network: Network
) -> TokenSaid | None:
    found = own(record)
    contract = parse_contract_id(found.contract, network)
    if contract is None:
        return None
    fields = TokenFields(
        name=text(record.name),
        symbol=text(record.symbol),
        decimals=_decimals(record.decimals),
        description=text(record.description),
        token_uri=text(record.token_uri),
        total_supply=_supply(record.total_supply),
        **found.fields,
    )
    return TokenSaid(contract, fields)


def _one_a_token(
    found: list[TokenSaid], refused: int, total: int | None = None
) -> TokenList:
    """Keep the first record of a token: two at one moment would be a conflict."""
    first: dict[ContractId, TokenSaid] = {}
    for said in found:
        first.setdefault(said.contract_id, said)
    repeated = len(found) - len(first)
    return TokenList(tuple(first.values()), refused + repeated, total)


def _decimals(said: Any) -> int | None:
    places = whole(said)
    return places if places is not None and places <= MAX_DECIMALS else None


def _supply(said: Any) -> str | None:
    supply = whole(said)
    return str(supply) if supply is not None and supply <= MAX_AMOUNT else None


def _base(said: Any, network: Network) -> ContractId | None:
    # The registry has written "undefined" where it knew none.
    return parse_contract_id(said, network) if isinstance(said, str) else None


def _moment(said: Any) -> int | None:
    """Return milliseconds since 1970, which are a number or a text of digits.

    Moments before 2009, when there was no chain, are counted in another unit or not set.
    """
    moment = whole(said)
    return moment if moment is not None and _FIRST_MS <= moment <= _LAST_MS else None


def _percent(said: Any) -> str | None:
    exact = decimal(said)
    return None if exact is None else ratio_text(exact)
