"""What ids in a request mean, and what belongs to an answer."""

from collections.abc import Iterable

from edge.core.derived import mainnet_tokens
from edge.core.table import Table
from schemas.ids import (
    STX,
    ContractId,
    Network,
    UserId,
    parse_contract_id,
    parse_user_id,
)

# Clients in use look STX up under both.
STX_SPELLINGS = (STX, "stx")


def network_of(table: Table) -> Network:
    """Return the network whose ids are taken."""
    return table.identity.network if table.identity else Network.MAINNET


def spellings(contract: ContractId) -> tuple[str, ...]:
    """Return the ids under which a price is sent to those who want all."""
    return STX_SPELLINGS if contract == STX else (contract,)


def asked_spellings(ids: Iterable[str], network: Network) -> list[str]:
    """Return the valid ones of ids as written, each once, in the order asked.

    In normal form, but ``stx`` stays as it was asked for.
    """
    found = (
        each if each == "stx" else parse_contract_id(each, network) for each in ids
    )
    return list(dict.fromkeys(each for each in found if each is not None))


def asked_users(ids: Iterable[str], network: Network) -> list[UserId]:
    """Return the valid ones of ids as written, in normal form, each once, as asked."""
    found = (parse_user_id(each, network) for each in ids)
    return list(dict.fromkeys(each for each in found if each is not None))


def contract_of(spelling: str) -> ContractId:
    """Return the token that an id in normal form names, however STX is spelt."""
    return STX if spelling in STX_SPELLINGS else ContractId(spelling)


def shown_tokens(user: UserId, table: Table, *, zeros: bool) -> list[ContractId]:
    """Return the tokens of a user, with ``zeros`` also the known ones not held, by id."""
    known = mainnet_tokens(table) if zeros else ()
    return sorted({*table.balances.get(user, ()), *known})
