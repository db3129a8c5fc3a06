"""What a feed serves: prices and balances, with every digit they were sent with."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BalanceKey(NamedTuple):
    """Whose balance of what."""

    user_id: str
    contract_id: str


@dataclass(frozen=True, slots=True)
class Price:
    """One token's price in USD.

    ``observed_at_ms`` is when it was observed (1970, UTC). ``version`` counts the published
    prices of the token; a server without that feature sends none.
    """

    contract_id: str
    price: Decimal
    observed_at_ms: int
    source: str
    version: int | None = None

    @property
    def key(self) -> str:
        """What it is kept under."""
        return self.contract_id

    @property
    def content(self) -> "Price":
        """What must differ for it to be news."""
        return self


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; ``None`` where unknown.

    It is of the moment of the message that it came with: when nothing but what is known of a
    token changes, its price included, no balance is sent. Follow prices for the price of now.
    ``fields`` is all that the server said, names and values as it wrote them.
    """

    contract_id: str
    name: str | None = None
    symbol: str | None = None
    decimals: int | None = None
    image: str | None = None
    price: Decimal | None = None
    fields: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class SubnetBalance:
    """The part of a balance that lies in one subnet contract."""

    contract_id: str
    balance: int
    formatted: Decimal


@dataclass(frozen=True, slots=True)
class Balance:
    """What one user holds of one token: on mainnet and in subnets.

    Amounts are base units, ``formatted`` whole tokens. Amounts of mainnet are ``None``
    while it was never read; a server without ``exact`` says 0 then. Such a server names
    the largest subnet part only.
    """

    user_id: str
    contract_id: str
    balance: int | None
    formatted: Decimal | None
    total_sent: int | None
    total_received: int | None
    subnets: tuple[SubnetBalance, ...]
    token: Token
    observed_at_ms: int
    source: str
    version: int | None = None

    @property
    def key(self) -> BalanceKey:
        """What it is kept under."""
        return BalanceKey(self.user_id, self.contract_id)

    @property
    def is_held(self) -> bool:
        """Whether it was read; else it is a known token that the user is not known to hold."""
        return self.source != "default-zero"

    @property
    def content(self) -> "Balance":
        """What must differ for it to be news: not what became of the token meanwhile."""
        token = Token(self.contract_id)
        if self.is_held:
            return replace(self, token=token)
        return replace(self, token=token, observed_at_ms=0)


@dataclass(frozen=True, slots=True)
class Update(Generic[K, V]):
    """One key's newest value; ``None``: there is none any more."""

    key: K
    value: V | None
