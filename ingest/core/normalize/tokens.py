"""What the registries say of tokens: Charisma's records and Hiro's metadata."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from ingest.core.normalize.body import (
    Unusable,
    Upstream,
    each,
    number,
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


class _Charisma(Upstream):
    contractId: str  # noqa: N815 - the upstream's names
    name: Any = None
    symbol: Any = None
    decimals: Any = None
    type: Any = None
    identifier: Any = None
    description: Any = None
    image: Any = None
    token_uri: Any = None
    total_supply: Any = None
    base: Any = None
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
    found, refused = each(said, lambda row: _charisma(row, network))
    return _one_a_token(found, refused)


def _charisma(said: Any, network: Network) -> TokenSaid | None:
    row = shape(_Charisma, said)
    if isinstance(row, Unusable):
        return None
    contract = parse_contract_id(row.contractId, network)
    if contract is None:
        return None
    fields = TokenFields(
        name=text(row.name),
        symbol=text(row.symbol),
        decimals=_decimals(row.decimals),
        type=text(row.type),
        identifier=text(row.identifier),
        description=text(row.description),
        image=text(row.image),
        token_uri=text(row.token_uri),
        total_supply=_supply(row.total_supply),
        base=_base(row.base, network),
        token_a_contract=text(row.tokenAContract),
        token_b_contract=text(row.tokenBContract),
        lp_rebate_percent=_percent(row.lpRebatePercent),
        external_pool_id=text(row.externalPoolId),
        engine_contract_id=text(row.engineContractId),
        verified=row.verified if isinstance(row.verified, bool) else None,
    )
    return TokenSaid(contract, fields)


class _Hiro(Upstream):
    contract_principal: str | None = None
    asset_identifier: str | None = None
    name: Any = None
    symbol: Any = None
    decimals: Any = None
    description: Any = None
    image_uri: Any = None
    image_canonical_uri: Any = None
    token_uri: Any = None
    total_supply: Any = None


class _HiroList(Upstream):
    total: int
    results: list[Any]


def hiro(body: bytes, network: Network) -> TokenList | Unusable:
    """Read a page of ``/metadata/v1/ft``."""
    said = read(_HiroList, body)
    if isinstance(said, Unusable):
        return said
    found, refused = each(said.results, lambda row: _hiro(row, network))
    return _one_a_token(found, refused, total=said.total)


def _hiro(said: Any, network: Network) -> TokenSaid | None:
    row = shape(_Hiro, said)
    if isinstance(row, Unusable):
        return None
    asset = row.asset_identifier or ""
    contract = parse_contract_id(row.contract_principal or asset, network)
    if contract is None:
        return None
    fields = TokenFields(
        name=text(row.name),
        symbol=text(row.symbol),
        # Hiro leaves the field out where it is 0: absent is unknown, not 0 and not 6.
        decimals=_decimals(row.decimals),
        identifier=text(asset_name(asset)),
        description=text(row.description),
        image=text(row.image_uri) or text(row.image_canonical_uri),
        token_uri=text(row.token_uri),
        total_supply=_supply(row.total_supply),
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


def _percent(said: Any) -> str | None:
    exact = number(said)
    if isinstance(said, str):
        try:
            exact = Decimal(said)
        except InvalidOperation:
            return None
    return None if exact is None else ratio_text(exact)
