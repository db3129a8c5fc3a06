"""What was decided, where a value comes from, and the record of one commit."""

from enum import Enum
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from schemas.base import Count, Event, Millis, Sha256, SourceName

Version = Annotated[int, Field(ge=1, le=2**53 - 1)]
# The chain of a shard's journal begins with it.
GENESIS = "0" * 64


class Decision(Enum):
    """What a fold did with one part of one observation."""

    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    DUPLICATE = "duplicate"
    STALE = "stale"
    SUSPECT = "suspect"
    REJECTED = "rejected"


class Origin(NamedTuple):
    """Where an observation stands; in JSON the array ``[topic, partition, offset]``."""

    topic: str
    partition: int
    offset: int


class FoldSettings(Event):
    """The settings that decide what is published; each commit names those it used."""

    price_max_age_ms: Count = Field(
        900_000,
        description="A source this far behind the newest drops out of the median",
    )
    price_deviation: Annotated[str, Field(pattern=r"^(?:0|0\.[0-9]{0,17}[1-9]|1)$")] = (
        Field("0", description="Relative change above which a price is published")
    )
    future_tolerance_ms: Count = Field(
        60_000, description="An observation this far past its append time is refused"
    )
    token_sources: tuple[SourceName, ...] = Field(
        ("contract", "charisma", "hiro", "known"),
        description="Whose word on a token's metadata goes first",
    )


class InputRange(Event):
    """The stretch of one input partition that a commit read: ``start <= offset < end``.

    ``start`` is where the commit before ended. The hash is over each record's offset
    (8 bytes), append time (8 bytes), then key and value, each with a length of 4 bytes
    before it (``ffffffff`` for none); all big-endian.
    """

    start: Count
    end: Count
    count: Count
    sha256: Sha256


class OutputDigest(Event):
    """The records of one kind that a commit wrote, in order.

    The hash is over key and value of each, framed as in ``InputRange``.
    """

    count: Count
    sha256: Sha256


class Commit(Event):
    """One transaction of one shard: what it read, decided and wrote.

    ``log_time`` is the running maximum of the append times of all that the shard has
    read. ``previous`` is the SHA-256 of the record before (of its value's bytes), for the
    first ``GENESIS``.
    """

    schema_: Literal["commit/1"] = Field("commit/1", alias="schema")
    shard: Count
    commit: Version
    log_time: Millis
    inputs: dict[str, InputRange]
    decisions: dict[str, Count]
    published: OutputDigest
    rejects: OutputDigest
    settings: FoldSettings
    generation: Version
    previous: Sha256


class Position(Event):
    """Where a shard stands after a commit; written to ``state`` in its transaction."""

    schema_: Literal["position/1"] = Field("position/1", alias="schema")
    commit: Count
    chain: Sha256
    log_time: Millis
    positions: dict[str, Count]


class Barrier(Event):
    """Written by a new owner of a shard: the state before it is complete."""

    schema_: Literal["barrier/1"] = Field("barrier/1", alias="schema")
    owner: Annotated[str, Field(max_length=200)]
