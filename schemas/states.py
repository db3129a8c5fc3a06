"""The processor's own records in ``state``: all that a fold remembers of one key.

An origin is kept as its offset alone: topic and partition follow from the key and from
where the record stands.
"""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from schemas.amounts import Amount, AmountSaid, PriceText
from schemas.base import Count, Event, Millis, Sha256, SourceName
from schemas.ids import ContractIdField
from schemas.journal import Version
from schemas.prices import Market
from schemas.tokens import TokenFields

# What keeps a state and a published value below the largest record.
MAX_SOURCES = 64
MAX_SUBNETS = 1_000
# A source must have changed its own value so often to prove another one frozen.
MAX_CHANGES = 3

POSITION_KEY = b"position"
BARRIER_KEY = b"barrier"
# Copies of what the owner of a shard publishes about itself in ``latest``, so that the
# next owner finds them; no fold reads or writes them.
OBSERVED_KEY = b"observed"
TERMS_KEY = b"terms"
# A copy of the log's identity (shard 0), from which ``latest`` can be rebuilt.
IDENTITY_COPY_KEY = b"identity"
# Which offsets of ``latest`` the last owner knew of, so that the next one notices a loss.
LATEST_BOUNDS_KEY = b"latest"
# Records in ``state`` that are not states of the fold.
NOT_FOLDED_KEYS = frozenset(
    {BARRIER_KEY, OBSERVED_KEY, TERMS_KEY, IDENTITY_COPY_KEY, LATEST_BOUNDS_KEY}
)


class LatestBounds(Event):
    """The oldest offset and the end of a shard's partition of ``latest``.

    The owner of the shard writes it now and then. The partition may since have grown; if
    it begins later or ends earlier, records were lost.
    """

    schema_: Literal["latest.bounds/1"] = Field("latest.bounds/1", alias="schema")
    oldest: Count
    end: Count


class Moment(NamedTuple):
    """When something was observed; in JSON the array ``[observedAt, sequence]``."""

    observed_at: Millis
    sequence: Count


class PriceWord(Event):
    """The last word of one source on one token's price, in the state of generation 1."""

    moment: Moment
    usd: PriceText
    market: Market | None
    offset: Count


class PriceStateV1(Event):
    """``price:ID`` in generation 1: the last word of each source, and what was published."""

    schema_: Literal["price.state/1"] = Field("price.state/1", alias="schema")
    words: dict[SourceName, PriceWord]
    usd: PriceText | None
    version: Count


class QuoteState(Event):
    """The last quote of one source for one token, and how its value has moved.

    ``time`` decides whether it is fresh. ``since`` is the ``observedAt`` of the first
    quote of the source's current run of equal values; ``changes`` are those at which the
    last changes of its value were observed, at most ``MAX_CHANGES``, oldest first.
    """

    moment: Moment
    usd: PriceText
    market: Market | None
    offset: Count
    time: Millis
    since: Millis
    changes: Annotated[tuple[Millis, ...], Field(max_length=MAX_CHANGES)]


class SuspectState(Event):
    """A jump that waits to be confirmed: which source said what, and when."""

    source: SourceName
    usd: PriceText
    moment: Moment


class PriceState(Event):
    """``price:ID``: the last quote of each source, and what was published.

    ``observed_at`` is that of the last published value, or not earlier. ``reference`` is
    the price last published or confirmed while at least two quotes counted. ``agreed``
    tells whether two counting quotes have ever been within the jump factor of each other.
    """

    schema_: Literal["price.state/2"] = Field("price.state/2", alias="schema")
    quotes: dict[SourceName, QuoteState]
    usd: PriceText | None
    version: Count
    observed_at: Millis
    reference: PriceText | None
    agreed: bool
    suspect: SuspectState | None


class TokenState(Event):
    """``token:ID``: the version, and the SHA-256 of the published fields."""

    schema_: Literal["token.state/1"] = Field("token.state/1", alias="schema")
    published: Sha256
    version: Version


class TokenWordState(Event):
    """``token:ID:SOURCE``: the last word of one source on one token.

    A record of its own, because the words of many sources may be larger than a record.
    """

    schema_: Literal["token.word/1"] = Field("token.word/1", alias="schema")
    moment: Moment
    fields: TokenFields
    offset: Count


class ReadingState(Event):
    """The newest whole reading applied to an account."""

    source: SourceName
    moment: Moment
    sha256: Sha256
    offset: Count


class AccountState(Event):
    """``account:USER``: how far the account is known, and by which reading."""

    schema_: Literal["account.state/1"] = Field("account.state/1", alias="schema")
    moment: Moment
    reading: ReadingState | None
    forgotten: Moment | None


class OwnStanding(Event):
    """Where a mainnet part stands that does not follow its account."""

    moment: Moment
    observed_at: Millis
    offset: Count


class MainnetState(Event):
    """The mainnet part of a balance; without ``own`` it follows the account."""

    balance: Amount
    total_sent: AmountSaid | None
    total_received: AmountSaid | None
    own: OwnStanding | None


class SubnetStateV1(Event):
    """The part of a balance that lies in one subnet contract."""

    balance: Amount
    source: SourceName
    moment: Moment
    offset: Count


class SubnetState(SubnetStateV1):
    """The part of a balance in one subnet contract, and whether it is published.

    It is not (``held`` is false) until a balance above 0 was read in that subnet.
    """

    held: bool


class BalanceStateV1(Event):
    """``balance:USER:ID`` in generation 1: the parts of a balance, all of them published."""

    schema_: Literal["balance.state/1"] = Field("balance.state/1", alias="schema")
    mainnet: MainnetState | None
    subnets: dict[ContractIdField, SubnetStateV1]
    version: Version


class BalanceState(Event):
    """``balance:USER:ID``: the parts of one balance; the version outlives them.

    The version is 0 until something was published.
    """

    schema_: Literal["balance.state/2"] = Field("balance.state/2", alias="schema")
    mainnet: MainnetState | None
    subnets: dict[ContractIdField, SubnetState]
    version: Count
