"""Every message between client and edge: the base protocol.

What clients send is read leniently (unknown fields are ignored, as the clients in use
expect); what the edge sends has these fields and no other. Numbers of base units are
written with all their digits.
"""

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from schemas.base import Millis, camel
from schemas.ids import ContractId, UserId


class Inbound(BaseModel):
    """A message of a client; what it does not name is ignored."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=camel,
        validate_by_name=True,
        validate_by_alias=True,
    )


class Subscribe(Inbound):
    """Adds ids to the subscription; absent, ``null`` and empty mean all."""

    type: Literal["SUBSCRIBE"]
    contract_ids: tuple[JsonValue, ...] | None = None
    user_ids: tuple[JsonValue, ...] | None = None


class Unsubscribe(Inbound):
    """Removes ids from the subscription; absent, ``null`` and empty mean all."""

    type: Literal["UNSUBSCRIBE"]
    contract_ids: tuple[JsonValue, ...] | None = None
    user_ids: tuple[JsonValue, ...] | None = None


class Ping(Inbound):
    """Asks for a ``PONG`` with the same timestamp, whatever JSON value that is."""

    type: Literal["PING"]
    timestamp: JsonValue = None


class ManualUpdate(Inbound):
    """Asks for a reading now."""

    type: Literal["MANUAL_UPDATE"]


ClientMessage = Annotated[
    Subscribe | Unsubscribe | Ping | ManualUpdate, Field(discriminator="type")
]
CLIENT_TYPES = ("SUBSCRIBE", "UNSUBSCRIBE", "PING", "MANUAL_UPDATE")


class Outbound(BaseModel):
    """A message of the edge: closed, camelCase."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=camel,
        validate_by_name=True,
        validate_by_alias=True,
    )


Party = Literal["prices", "balances"]
PARTIES: tuple[Party, ...] = get_args(Party)


class ServerInfo(Outbound):
    """The first message of every connection."""

    type: Literal["SERVER_INFO"] = "SERVER_INFO"
    party: Party
    is_local_dev: bool
    metadata_loaded: bool
    metadata_count: int
    timestamp: Millis


class PriceUpdate(Outbound):
    """One price; ``timestamp`` is when it was observed."""

    type: Literal["PRICE_UPDATE"] = "PRICE_UPDATE"
    contract_id: ContractId
    price: float
    timestamp: Millis
    source: Literal["api", "local-dev"]


class PriceBatch(Outbound):
    """Several prices; ``timestamp`` is now."""

    type: Literal["PRICE_BATCH"] = "PRICE_BATCH"
    prices: tuple[PriceUpdate, ...]
    timestamp: Millis


class TokenMetadata(BaseModel):
    """What is known of a token, market data joined in; ``null`` where unknown.

    Some names are in snake case: so the clients in use read them.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=camel,
        validate_by_name=True,
        validate_by_alias=True,
    )

    contract_id: ContractId
    name: str | None
    symbol: str | None
    decimals: int
    type: str | None
    identifier: str | None
    description: str | None
    image: str | None
    token_uri: str | None = Field(alias="token_uri")
    total_supply: str | None = Field(alias="total_supply")
    last_updated: Millis | None
    token_a_contract: str | None
    token_b_contract: str | None
    lp_rebate_percent: float | None
    external_pool_id: str | None
    engine_contract_id: str | None
    base: ContractId | None
    verified: bool
    price: float | None
    change1h: float | None
    change24h: float | None
    change7d: float | None
    market_cap: float | None


class BalanceUpdate(Outbound):
    """Mainnet and subnet of one user's token in one message.

    The three subnet fields are all there or all absent, never ``null``.
    """

    type: Literal["BALANCE_UPDATE"] = "BALANCE_UPDATE"
    user_id: UserId
    contract_id: ContractId
    balance: int
    total_sent: str
    total_received: str
    formatted_balance: float
    subnet_balance: int | None = None
    formatted_subnet_balance: float | None = None
    subnet_contract_id: ContractId | None = None
    metadata: TokenMetadata
    timestamp: Millis
    source: Literal["hiro-api", "default-zero"]


class BalanceBatch(Outbound):
    """Several balances; ``timestamp`` is now."""

    type: Literal["BALANCE_BATCH"] = "BALANCE_BATCH"
    balances: tuple[BalanceUpdate, ...]
    timestamp: Millis


class Pong(Outbound):
    """Echoes the ``timestamp`` of a ``PING``; without one there is none here either."""

    type: Literal["PONG"] = "PONG"
    timestamp: JsonValue = None


class Error(Outbound):
    """Something in the last message could not be served; the connection stays open."""

    type: Literal["ERROR"] = "ERROR"
    message: str


class PricesBody(Outbound):
    """The answer to GET on the prices party."""

    prices: tuple[PriceUpdate, ...]
    party: Literal["prices"] = "prices"
    server_time: Millis


class BalancesBody(Outbound):
    """The answer to GET on the balances party."""

    balances: tuple[BalanceUpdate, ...]
    party: Literal["balances"] = "balances"
    server_time: Millis


class Triggered(Outbound):
    """The answer to POST."""

    status: Literal["triggered"] = "triggered"
    party: Party
    timestamp: Millis
