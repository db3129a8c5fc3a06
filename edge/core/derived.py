"""What follows from the registry: which token a subnet stands for, and whose price it has."""

from collections.abc import Mapping

from edge.core.table import Table
from schemas.balances import Balance, SubnetPart
from schemas.ids import ContractId
from schemas.prices import Price
from schemas.tokens import Token

_SUBNET = "SUBNET"


def is_subnet(token: Token) -> bool:
    """Tell whether a token lives in a subnet, whether or not its base is known."""
    return token.fields.type == _SUBNET


def base_of(
    contract: ContractId, tokens: Mapping[ContractId, Token]
) -> ContractId | None:
    """Return the mainnet token at the end of a chain of bases.

    A token that is no subnet token is its own. ``None`` where a subnet token names no
    base, and for a loop.
    """
    passed: set[ContractId] = set()
    while contract not in passed:
        passed.add(contract)
        token = tokens.get(contract)
        if token is None or not is_subnet(token):
            return contract
        if token.fields.base is None:
            return None
        contract = token.fields.base
    return None


def price_of(contract: ContractId, table: Table) -> Price | None:
    """Return the price that holds for a token: of a subnet token that of its base."""
    base = base_of(contract, table.tokens)
    return table.prices.get(base) if base is not None else None


def is_shown(contract: ContractId, table: Table) -> bool:
    """Tell whether a user may hold a token on mainnet, and its decimals are known."""
    token = table.tokens.get(contract)
    if token is None or is_subnet(token):
        return False
    return token.fields.decimals is not None


def mainnet_tokens(table: Table) -> list[ContractId]:
    """Return the known tokens that a user may hold on mainnet, by contract id.

    Those whose decimals nobody has said yet are not among them.
    """
    return sorted(contract for contract in table.tokens if is_shown(contract, table))


def decimals_of(contract: ContractId, table: Table) -> int | None:
    """Return the decimals of a token; ``None`` while they are not known."""
    token = table.tokens.get(contract)
    return token.fields.decimals if token else None


def largest_subnet(balance: Balance) -> tuple[ContractId, SubnetPart] | None:
    """Return the subnet that a message has room for: the largest part.

    Of equal parts that of the smaller contract id.
    """
    if not balance.subnets:
        return None
    parts = sorted(balance.subnets.items())
    return max(parts, key=lambda part: int(part[1].balance))


def subnet_decimals(
    subnet: ContractId, contract: ContractId, table: Table
) -> int | None:
    """Return the decimals of a subnet part: the subnet token's own, else the base's."""
    own = decimals_of(subnet, table)
    return own if own is not None else decimals_of(contract, table)
