"""The two parties of a feed: what each asks for, what it serves, how that is kept."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Literal

from stacks_feed_client.core import reading
from stacks_feed_client.core.ids import normal
from stacks_feed_client.core.reading import Message, text
from stacks_feed_client.core.values import Balance, BalanceKey, K, Price, V

PartyName = Literal["prices", "balances"]


@dataclass(frozen=True, slots=True)
class Party(Generic[K, V]):
    """One party.

    ``ids_field`` is that of its subscriptions, ``types`` are those of its updates. ``key``
    is what a value is kept under, ``owner`` the id by which a subscription names a key,
    ``removed`` the key that a ``REMOVED`` voids.
    """

    name: PartyName
    ids_field: str
    types: tuple[str, ...]
    read: Callable[[Message], Iterator[V | None]]
    key: Callable[[V], K]
    owner: Callable[[K], str]
    removed: Callable[[Message], K | None]
    version: Callable[[V], int | None]
    content: Callable[[V], object]


def _removed_price(said: Message) -> str | None:
    contract = text(said.get("contractId"))
    return normal(contract) if contract else None


def _removed_balance(said: Message) -> BalanceKey | None:
    user, contract = text(said.get("userId")), text(said.get("contractId"))
    if user is None or contract is None:
        return None
    return BalanceKey(normal(user), normal(contract))


PRICES: Party[str, Price] = Party(
    name="prices",
    ids_field="contractIds",
    types=("PRICE_UPDATE", "PRICE_BATCH"),
    read=reading.prices,
    key=lambda price: price.key,
    owner=lambda key: key,
    removed=_removed_price,
    version=lambda price: price.version,
    content=lambda price: price.content,
)
BALANCES: Party[BalanceKey, Balance] = Party(
    name="balances",
    ids_field="userIds",
    types=("BALANCE_UPDATE", "BALANCE_BATCH"),
    read=reading.balances,
    key=lambda balance: balance.key,
    owner=lambda key: key.user_id,
    removed=_removed_balance,
    version=lambda balance: balance.version,
    content=lambda balance: balance.content,
)
