"""Balances: readings of accounts and of subnet balances, and what is published."""

from collections import Counter
from typing import Annotated, Literal

from pydantic import Field, model_validator

from schemas.amounts import Amount, AmountSaid
from schemas.base import Count, Event, Millis, Sha256, SourceName, Text
from schemas.ids import ContractId, ContractIdField, UserIdField
from schemas.journal import Origin, Version


class Holding(Event):
    """One token of one account, as said. ``asset`` is the name after ``::``, if any."""

    contract_id: ContractIdField
    asset: Text | None = None
    balance: AmountSaid
    total_sent: AmountSaid | None = None
    total_received: AmountSaid | None = None


class AccountRead(Event):
    """One user's whole mainnet account at one moment: what is not in it is zero.

    ``holdings`` has at most one entry a contract. Where a contract defines several
    assets, the others stand in ``others`` and are not published.
    """

    schema_: Literal["account.read/1"] = Field("account.read/1", alias="schema")
    user_id: UserIdField
    source: SourceName
    observed_at: Millis
    sequence: Count = 0
    holdings: tuple[Holding, ...]
    others: tuple[Holding, ...] = ()

    @model_validator(mode="after")
    def _one_holding_a_contract(self) -> "AccountRead":
        counts = Counter(holding.contract_id for holding in self.holdings)
        if len(counts) != len(self.holdings):
            raise ValueError("two holdings of one contract")
        return self


class AccountConfirmed(Event):
    """The account is still as an earlier reading said.

    ``reading`` is the SHA-256 of that reading's record value.
    """

    schema_: Literal["account.confirmed/1"] = Field(
        "account.confirmed/1", alias="schema"
    )
    user_id: UserIdField
    source: SourceName
    observed_at: Millis
    sequence: Count = 0
    reading: Sha256


class SubnetRead(Event):
    """One user's balance in one subnet contract.

    ``base_id`` is the mainnet token that it stands for.
    """

    schema_: Literal["subnet.read/1"] = Field("subnet.read/1", alias="schema")
    user_id: UserIdField
    subnet_id: ContractIdField
    base_id: ContractIdField
    source: SourceName
    observed_at: Millis
    sequence: Count = 0
    balance: AmountSaid


class UserForgotten(Event):
    """Nobody has watched the user for long: the published balances are withdrawn."""

    schema_: Literal["user.forgotten/1"] = Field("user.forgotten/1", alias="schema")
    user_id: UserIdField
    observed_at: Millis
    sequence: Count = 0


BalanceObserved = Annotated[
    AccountRead | AccountConfirmed | SubnetRead | UserForgotten,
    Field(discriminator="schema_"),
]


class MainnetPart(Event):
    """The mainnet layer of a balance; totals are ``null`` where the source has none."""

    balance: Amount
    total_sent: AmountSaid | None
    total_received: AmountSaid | None
    observed_at: Millis


class SubnetPart(Event):
    """The layer of a balance that lies in one subnet contract."""

    balance: Amount
    observed_at: Millis


class Balance(Event):
    """What one user holds of one token, all layers; a layer never read is ``null``.

    ``observed_at`` is the newest of the parts; ``origins`` name the mainnet reading, then
    those of the subnets in the order of their contract ids.
    """

    schema_: Literal["balance/1"] = Field("balance/1", alias="schema")
    user_id: UserIdField
    contract_id: ContractIdField
    mainnet: MainnetPart | None
    subnets: dict[ContractId, SubnetPart]
    version: Version
    observed_at: Millis
    origins: tuple[Origin, ...]
