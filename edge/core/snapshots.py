"""The current values that answer a subscription or a GET, as updates in order."""

from collections.abc import Iterable, Iterator

from edge.core.derived import decimals_of, mainnet_tokens, price_of
from edge.core.frames import packed, text_frame
from edge.core.messages import (
    BALANCE_BATCH_AROUND,
    PRICE_BATCH_AROUND,
    balance_batch,
    balance_update,
    is_simulated,
    price_batch,
    price_update,
    zero_update,
)
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


def price_updates(ids: Iterable[str], table: Table) -> Iterator[bytes]:
    """Yield an update of each id that has a price, under the id as given."""
    source = "local-dev" if is_simulated(table) else "api"
    for each in ids:
        contract = STX if each == "stx" else ContractId(each)
        price = price_of(contract, table)
        if price is not None:
            yield price_update(each, price, source=source)


def all_spellings(table: Table) -> list[str]:
    """Return every id that may have a price: priced tokens and subnet tokens."""
    contracts = sorted({*table.prices, *table.tokens})
    return [spelling for each in contracts for spelling in spellings(each)]


def price_batches(updates: Iterable[bytes], *, now_ms: int) -> bytes:
    """Return updates as frames of ``PRICE_BATCH``; nothing without updates."""
    shares = packed(updates, around_bytes=len(PRICE_BATCH_AROUND))
    return b"".join(
        text_frame(price_batch(share, now_ms=now_ms)) for share in shares if share
    )


def balance_batches(updates: Iterable[bytes], *, now_ms: int) -> bytes:
    """Return updates as frames of ``BALANCE_BATCH``; an empty one without updates."""
    shares = packed(updates, around_bytes=len(BALANCE_BATCH_AROUND))
    return b"".join(text_frame(balance_batch(share, now_ms=now_ms)) for share in shares)


def shown_tokens(user: UserId, table: Table, *, zeros: bool) -> list[ContractId]:
    """Return the tokens of a user, with ``zeros`` also the known ones not held, by id."""
    known = mainnet_tokens(table) if zeros else ()
    return sorted({*table.balances.get(user, ()), *known})


def entry(
    user: UserId, contract: ContractId, table: Table, *, zeros: bool, now_ms: int
) -> bytes | None:
    """Return the update of a held token, with ``zeros`` that of one not held.

    ``None`` where there is nothing to send: not held, or of unknown decimals.
    """
    balance = table.balances.get(user, {}).get(contract)
    if balance is not None:
        return balance_update(balance, table)
    if zeros and decimals_of(contract, table) is not None:
        return zero_update(user, contract, table, now_ms=now_ms)
    return None
