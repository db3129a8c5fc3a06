"""The updates for clients that asked for ``exact``: every number a text, every part named.

The shapes are ``ExactPriceUpdate`` and ``ExactBalanceUpdate`` of ``schemas.extras``.
"""

from typing import Any

import orjson

from edge.core.derived import subnet_decimals
from edge.core.table import Table
from schemas.amounts import exact_text
from schemas.balances import Balance
from schemas.ids import ContractId, UserId
from schemas.prices import Price


def exact_price(spelling: str, price: Price, *, source: str) -> bytes:
    """Return a ``PRICE_UPDATE`` under the id that was asked for."""
    return (
        f'{{"type":"PRICE_UPDATE","contractId":"{spelling}","price":"{price.usd}",'
        f'"timestamp":{price.observed_at},"source":"{source}"}}'
    ).encode()


def exact_balance(
    balance: Balance, table: Table, *, decimals: int, joined: bytes
) -> bytes:
    """Return a ``BALANCE_UPDATE``; ``joined`` is the token's metadata."""
    main = balance.mainnet
    return orjson.dumps(
        {
            "type": "BALANCE_UPDATE",
            "userId": balance.user_id,
            "contractId": balance.contract_id,
            "balance": main.balance if main else None,
            "totalSent": main.total_sent if main else None,
            "totalReceived": main.total_received if main else None,
            "formattedBalance": (
                exact_text(int(main.balance), decimals) if main else None
            ),
            "subnets": _subnets(balance, table),
            "metadata": orjson.Fragment(joined),
            "timestamp": balance.observed_at,
            "source": "hiro-api" if main else "default-zero",
        }
    )


def exact_zero(
    user: UserId, contract: ContractId, *, joined: bytes, now_ms: int
) -> bytes:
    """Return the entry of a known token that a user does not hold."""
    return orjson.dumps(
        {
            "type": "BALANCE_UPDATE",
            "userId": user,
            "contractId": contract,
            "balance": "0",
            "totalSent": "0",
            "totalReceived": "0",
            "formattedBalance": "0",
            "subnets": (),
            "metadata": orjson.Fragment(joined),
            "timestamp": now_ms,
            "source": "default-zero",
        }
    )


def _subnets(balance: Balance, table: Table) -> list[dict[str, Any]]:
    return [
        {
            "contractId": subnet,
            "balance": part.balance,
            "formattedBalance": exact_text(
                int(part.balance),
                subnet_decimals(subnet, balance.contract_id, table) or 0,
            ),
            "timestamp": part.observed_at,
        }
        for subnet, part in sorted(balance.subnets.items())
    ]
