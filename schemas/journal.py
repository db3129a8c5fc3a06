"""What was decided, where a value comes from, and the record of one commit."""

from enum import Enum
from typing import Annotated, Literal, NamedTuple, TypeAlias

from pydantic import AfterValidator, Field

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


def _is_jump_factor(factor: int) -> int:
    if factor == 1:
        raise ValueError("a factor of 1 would make every change a jump")
    return factor


# 0 is off. At most a million, so that a price times the factor has at most 50 digits.
JumpFactor = Annotated[int, Field(ge=0, le=1_000_000), AfterValidator(_is_jump_factor)]


class FoldSettingsV1(Event):
    """The settings that decide what generation 1 of the fold publishes."""

    price_max_age_ms: Count = Field(
        900_000,
        description="A quote this far behind the newest does not count",
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


class FoldSettings(FoldSettingsV1):
    """The settings that decide what is published; each commit names those it used."""

    price_frozen_ms: Count = Field(
        3_600_000,
        description="A source that repeats one price for longer than this, while another "
        "source changes its own, does not count; 0 is off",
    )
    price_jump_factor: JumpFactor = Field(
        10,
        description="A price that is more than this factor above or below the one before "
        "waits until it is confirmed; 0 is off",
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

    This is what all versions of the record have in common. ``log_time`` is the running
    maximum of the append times of all that the shard has read. ``previous`` is the SHA-256
    of the record before (of its value's bytes), for the first ``GENESIS``.
    """

    shard: Count
    commit: Version
    log_time: Millis
    inputs: dict[str, InputRange]
    decisions: dict[str, Count]
    published: OutputDigest
    rejects: OutputDigest
    settings: FoldSettingsV1
    generation: Version
    previous: Sha256


class CommitV1(Commit):
    """A commit of generation 1 of the fold."""

    schema_: Literal["commit/1"] = Field("commit/1", alias="schema")


class CommitV2(Commit):
    """A commit of generation 2 of the fold, or of a later one.

    ``log`` is the SHA-256 of the canonical bytes of the log's identity record
    (``log:identity``), so that the history of one log does not pass for that of another.
    """

    schema_: Literal["commit/2"] = Field("commit/2", alias="schema")
    settings: FoldSettings
    log: Sha256


AnyCommit: TypeAlias = Annotated[CommitV1 | CommitV2, Field(discriminator="schema_")]


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
