"""Prices: what one source said, and what is published."""

from typing import Literal

from pydantic import Field

from schemas.amounts import PriceText, Ratio
from schemas.base import Count, Event, Millis, SourceName
from schemas.ids import ContractIdField
from schemas.journal import Origin, Version


class Market(Event):
    """What a source says about the market of a token beside its price.

    The changes are percentages over the hour, the day and the week; the capitalisation
    is in USD.
    """

    change1h: Ratio | None = None
    change24h: Ratio | None = None
    change7d: Ratio | None = None
    market_cap: Ratio | None = None


class PriceObserved(Event):
    """One price that one source gave for one token at one moment."""

    schema_: Literal["price.observed/1"] = Field("price.observed/1", alias="schema")
    contract_id: ContractIdField
    source: SourceName
    usd: PriceText
    observed_at: Millis
    sequence: Count = 0
    source_time: Millis | None = Field(
        None, description="When the source computed it, if it says so"
    )
    market: Market | None = None


class Price(Event):
    """The price of one token, as derived from the quotes of its sources.

    ``origins`` are the quotes that it was derived from, in the order of their sources.
    """

    schema_: Literal["price/1"] = Field("price/1", alias="schema")
    contract_id: ContractIdField
    usd: PriceText
    version: Version
    observed_at: Millis
    origins: tuple[Origin, ...]
    market: Market | None = None
