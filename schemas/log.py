"""Records about the log itself: its identity, its terms, and how far each shard has read."""

from enum import Enum
from hashlib import sha256
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from schemas.base import Count, Event, Millis, encode
from schemas.ids import ContractId, Network

# More owners than this within the life of a cursor: the oldest terms are dropped, and
# clients that resume from one of them are sent everything.
MAX_TERMS = 1_000
# The header of a watermark that names the term in which it was written.
TERM_HEADER = "term"
# At most this many tokens that nobody quotes are named; more are counted.
MAX_UNQUOTED = 1_000
TermId = Annotated[str, Field(pattern="^[0-9a-f]{12}$")]


class World(Enum):
    """Whether a log holds the real chain or the simulator's."""

    SIMULATED = "simulated"
    LIVE = "live"


class LogIdentity(Event):
    """Written once when the topics are created; every service checks it."""

    schema_: Literal["log.identity/1"] = Field("log.identity/1", alias="schema")
    id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    network: Annotated[Network, Field(strict=False)]
    world: Annotated[World, Field(strict=False)]
    partitions: Annotated[int, Field(ge=1, le=1_024)]
    created_at: Millis

    @property
    def digest(self) -> str:
        """The SHA-256 of the canonical bytes; every commit of the log names it."""
        return sha256(encode(self)).hexdigest()


class Watermark(Event):
    """How far a shard has read.

    ``log_time`` is the newest append time among its inputs; when the shard had read all of
    them to the end, the time at which that end was asked for, by the log's clock: then it
    has all that was in the log by then. While one input lags behind, it is the time of the foremost.
    """

    schema_: Literal["watermark/1"] = Field("watermark/1", alias="schema")
    shard: Count
    log_time: Millis


class Observed(Event):
    """The newest ``observedAt`` that a shard has folded, by kind.

    It advances whether or not the observation changed a value, and never steps back.
    ``None``: the shard has never folded an observation of that kind.
    """

    schema_: Literal["observed/1"] = Field("observed/1", alias="schema")
    shard: Count
    prices: Millis | None
    balances: Millis | None
    tokens: Millis | None


class Unquoted(Event):
    """The tokens of a shard that have a price and that no source quotes any more.

    A token is one of them once its newest quote is further behind the newest price
    observation of the shard than quotes count. ``prices`` has the moment of that quote for
    each; of more than ``MAX_UNQUOTED`` tokens, those that were quoted last. ``count`` is how
    many there are.
    """

    schema_: Literal["unquoted/1"] = Field("unquoted/1", alias="schema")
    shard: Count
    count: Count
    prices: Annotated[dict[ContractId, Millis], Field(max_length=MAX_UNQUOTED)]


class Term(NamedTuple):
    """One period of ownership of a shard; in JSON the array ``[id, start, startedAt]``.

    It covers the offsets of ``latest`` from ``start`` to the start of the next term.
    ``started_at`` is the append time of its owner's barrier, in milliseconds. Append times
    follow the clock of the log, so it may be before that of an earlier term.
    """

    id: TermId
    start: Count
    started_at: Millis


class Terms(Event):
    """The terms of a shard, oldest first; the last one is the current one.

    A position in ``latest`` is only meaningful together with the term it was read in: a
    restored copy of the log, or a broker that lost the end of a partition, reuses offsets
    for other records, but never a term. Terms that are older than any usable cursor are
    left out.
    """

    schema_: Literal["terms/1"] = Field("terms/1", alias="schema")
    shard: Count
    terms: Annotated[tuple[Term, ...], Field(min_length=1, max_length=MAX_TERMS)]
