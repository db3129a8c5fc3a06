"""Hiro's answers about one account, in its three generations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .chain import GENESIS_BURN_HEIGHT, GENESIS_HEIGHT, Ledger, stx_locked
from .draws import digest
from .genesis import Holding
from .world import STX, World

Body = dict[str, Any]
MakeBody = Callable[[], Body]

MAX_LIMIT = 200
_LOCK_HEIGHT = GENESIS_HEIGHT - 5_000
_BURN_LOCK_HEIGHT = GENESIS_BURN_HEIGHT - 500
_BURN_UNLOCK_HEIGHT = GENESIS_BURN_HEIGHT + 4_200
_POX_VERSION = 4


@dataclass(frozen=True, slots=True)
class Account:
    """One principal as the ledger knows it at this moment."""

    world: World
    ledger: Ledger
    principal: str

    @property
    def stx(self) -> Holding:
        """Its STX, locked or not."""
        return self.ledger.holding(self.principal, STX)

    @property
    def locked(self) -> int:
        """How much of its STX is locked."""
        return stx_locked(self.world, self.ledger, self.principal)

    @property
    def etag(self) -> str | None:
        """A mark of its state, quoted; `None` for a principal without activity."""
        revision = self.ledger.revision(self.principal)
        if revision == 0:
            return None
        mark = digest(revision, self.principal, size_bytes=16).hex()
        return f'"{mark}"'

    def tokens(self) -> dict[str, Holding]:
        """What it has or had of each mainnet token, by asset id, zeros included."""
        contracts = self.world.contracts
        return {
            contracts[contract_id].asset_id: holding
            for contract_id, holding in self.ledger.holdings(self.principal).items()
            if contract_id != STX and contracts[contract_id].base is None
        }


def v1(account: Account) -> Body:
    """Return STX and tokens in one body, with what was ever sent and received."""
    return {
        "stx": v1_stx(account),
        "fungible_tokens": {
            asset: {
                "balance": str(holding.balance),
                "total_sent": str(holding.sent),
                "total_received": str(holding.received),
            }
            for asset, holding in account.tokens().items()
        },
        "non_fungible_tokens": {},
    }


def v1_stx(account: Account) -> Body:
    """Return the STX part of the first generation, which the push carries as well."""
    stx = account.stx
    return {
        "balance": str(stx.balance),
        **_mempool(stx),
        "total_sent": str(stx.sent),
        "total_received": str(stx.received),
        "total_fees_sent": "0",
        "total_miner_rewards_received": "0",
        **_lock(account),
    }


def v2_stx(account: Account, *, mempool: bool) -> Body:
    """Return the STX balance of the second generation."""
    stx = account.stx
    return {
        "balance": str(stx.balance),
        **(_mempool(stx) if mempool else {}),
        "total_miner_rewards_received": "0",
        **_lock(account),
    }


def v2_tokens(account: Account, *, limit: int, offset: int) -> Body:
    """Return one page of tokens of the second generation, the largest first."""
    held = _held(account)
    return {
        "limit": limit,
        "offset": offset,
        "total": len(held),
        "results": [
            {"token": asset, "balance": str(balance)}
            for asset, balance in held[offset : offset + limit]
        ],
    }


def v3_stx(account: Account) -> Body:
    """Return the STX balance of the third generation."""
    balance, locked = account.stx.balance, account.locked
    lock = {
        "amount": str(locked),
        "pox_version": _POX_VERSION,
        "lock_tx_id": _lock_tx(account),
        "stacks_lock_height": _LOCK_HEIGHT,
        "burn_lock_height": _BURN_LOCK_HEIGHT,
        "burn_unlock_height": _BURN_UNLOCK_HEIGHT,
    }
    return {
        "balance": str(balance),
        "available": str(balance - locked),
        "locked": lock if locked else None,
        "mempool": None,
    }


def v3_tokens(account: Account, *, limit: int, cursor: str | None) -> Body:
    """Return one page of tokens of the third generation, from the cursor on.

    A balance that moved since the cursor was given moves the page, as it does there.
    """
    held = _held(account)
    start = 0 if cursor is None else _position(held, cursor)
    page = held[start : start + limit]
    before, after = held[max(0, start - limit) : start], held[start + limit :]
    return {
        "total": len(held),
        "limit": limit,
        "cursor": {
            "next": _cursor(after),
            "previous": _cursor(before),
            "current": _cursor(page),
        },
        "results": [_position_row(asset, balance) for asset, balance in page],
    }


def v3_token(account: Account, asset: str) -> Body:
    """Return the balance of one token, ``"0"`` if there is none."""
    return _position_row(asset, one_balance(account, asset))


def one_balance(account: Account, asset: str) -> int:
    """Return how much of one asset the account holds, 0 if it never did."""
    token = account.world.assets.get(asset)
    if token is None:
        return 0
    return account.ledger.holding(account.principal, token.contract_id).balance


def _position_row(asset: str, balance: int) -> Body:
    return {"asset_identifier": asset, "balance": str(balance)}


def _held(account: Account) -> list[tuple[str, int]]:
    held = [
        (asset, holding.balance)
        for asset, holding in account.tokens().items()
        if holding.balance
    ]
    return sorted(held, key=_rank)


def _rank(row: tuple[str, int]) -> tuple[int, str]:
    asset, balance = row
    return -balance, asset


def _position(held: list[tuple[str, int]], cursor: str) -> int:
    balance, _, asset = cursor.partition(":")
    wanted = _rank((asset, int(balance)))
    later = (at for at, row in enumerate(held) if _rank(row) >= wanted)
    return next(later, len(held))


def _cursor(rows: list[tuple[str, int]]) -> str | None:
    return f"{rows[0][1]}:{rows[0][0]}" if rows else None


def _mempool(stx: Holding) -> Mapping[str, str]:
    return {
        "estimated_balance": str(stx.balance),
        "pending_balance_inbound": "0",
        "pending_balance_outbound": "0",
    }


def _lock(account: Account) -> Body:
    locked = account.locked
    return {
        "lock_tx_id": _lock_tx(account) if locked else "",
        "locked": str(locked),
        "lock_height": _LOCK_HEIGHT if locked else 0,
        "burnchain_lock_height": _BURN_LOCK_HEIGHT if locked else 0,
        "burnchain_unlock_height": _BURN_UNLOCK_HEIGHT if locked else 0,
    }


def _lock_tx(account: Account) -> str:
    return "0x" + digest(account.world.seed, "lock", account.principal).hex()
