"""What every client must hold in the end: the values of a table, comparable across all ways.

Each way of reading an edge says the same in another form. Here they become equal values.
"""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from stacks_feed_client import Balance, BalanceKey, Price

Message = dict[str, Any]


class Key(NamedTuple):
    """A price has no user."""

    contract_id: str
    user_id: str = ""


class Value(NamedTuple):
    """A price in USD, or a balance with its parts and its token; ``at_ms`` is when it was
    observed.

    A zero for what nobody is known to hold was never observed: its ``at_ms`` is 0.
    """

    amount: Decimal
    at_ms: int
    parts: tuple[str, ...] = ()


Table = dict[Key, Value]


def read_json(text: str | bytes) -> Message:
    """Read a message or an answer with all digits of its numbers."""
    message: Message = json.loads(text, parse_float=Decimal)
    return message


def price_key(contract_id: str) -> Key:
    """Return the key of a price; STX is answered under both of its names."""
    return Key(".stx" if contract_id == "stx" else contract_id)


def rows_in(message: Message) -> Iterator[tuple[Key, Value, int]]:
    """Yield key, value and version of each row; 0 where no version is said."""
    rows = message.get("prices", message.get("balances"))
    if rows is None:
        is_row = message.get("type") in {"PRICE_UPDATE", "BALANCE_UPDATE"}
        rows = [message] if is_row else []
    for row in rows:
        yield key_in(row), _value_in(row), row.get("version", 0)


def key_in(row: Message) -> Key:
    """Return the key that a row, or a ``REMOVED``, is about."""
    if "userId" in row:
        return Key(row["contractId"], row["userId"])
    return price_key(row["contractId"])


def _value_in(row: Message) -> Value:
    if "userId" not in row:
        # Its text, since a reader of events may have made a float of it.
        return Value(Decimal(f"{row['price']}"), row["timestamp"])
    subnet = ""
    if "subnetContractId" in row:
        subnet = f"{row['subnetContractId']} {row['subnetBalance']}"
    token = row["metadata"]
    named = f"{token['symbol']} {token['decimals']}"
    parts = (row["totalSent"], row["totalReceived"], subnet, row["source"], named)
    is_zero = row["source"] == "default-zero" and not subnet
    return Value(Decimal(row["balance"]), 0 if is_zero else row["timestamp"], parts)


def of_library(view: Mapping[Any, Price] | Mapping[Any, Balance]) -> Table:
    """Return what a feed of the client library holds."""
    table: Table = {}
    for key, value in view.items():
        if isinstance(value, Price):
            table[price_key(key)] = Value(value.price, value.observed_at_ms)
        elif isinstance(key, BalanceKey):
            table[Key(key.contract_id, key.user_id)] = _of_balance(value)
    return table


def _of_balance(value: Balance) -> Value:
    """Return a balance in the base protocol's words: the largest subnet part, zeros."""
    largest = max(value.subnets, key=lambda part: part.balance, default=None)
    subnet = f"{largest.contract_id} {largest.balance}" if largest else ""
    sent, received = value.total_sent or 0, value.total_received or 0
    named = f"{value.token.symbol} {value.token.decimals}"
    parts = (f"{sent}", f"{received}", subnet, value.source, named)
    is_zero = not value.is_held and not subnet
    at_ms = 0 if is_zero else value.observed_at_ms
    return Value(Decimal(value.balance or 0), at_ms, parts)
