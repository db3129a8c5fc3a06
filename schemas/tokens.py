"""Token metadata: what one source said, and what is published."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.amounts import MAX_DECIMALS, Amount, Ratio
from schemas.base import Count, Event, Millis, SourceName, Text
from schemas.ids import ContractIdField
from schemas.journal import Origin, Version


class TokenFields(Event):
    """What can be known of a token; ``null`` means that nobody said.

    ``type`` is ``SUBNET`` for a token of a subnet, whose ``base`` is the mainnet token it
    stands for. ``lastUpdated`` is when the source itself last changed its record; it was
    added later, and is absent where nobody said, so that records written before keep their
    bytes when they are derived again.
    """

    name: Text | None = None
    symbol: Text | None = None
    decimals: Annotated[int, Field(ge=0, le=MAX_DECIMALS)] | None = None
    type: Text | None = None
    identifier: Text | None = None
    description: Text | None = None
    image: Text | None = None
    token_uri: Text | None = None
    total_supply: Amount | None = None
    base: ContractIdField | None = None
    token_a_contract: Text | None = None
    token_b_contract: Text | None = None
    lp_rebate_percent: Ratio | None = None
    external_pool_id: Text | None = None
    engine_contract_id: Text | None = None
    verified: bool | None = None
    last_updated: Millis | None = Field(None, exclude_if=lambda said: said is None)


class TokenObserved(Event):
    """What one source said of one token at one moment."""

    schema_: Literal["token.observed/1"] = Field("token.observed/1", alias="schema")
    contract_id: ContractIdField
    source: SourceName
    observed_at: Millis
    sequence: Count = 0
    fields: TokenFields


class Token(Event):
    """A token: of each field the word of the first source that has one."""

    schema_: Literal["token/1"] = Field("token/1", alias="schema")
    contract_id: ContractIdField
    fields: TokenFields
    version: Version
    observed_at: Millis
    origins: tuple[Origin, ...]
