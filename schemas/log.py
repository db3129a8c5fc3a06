"""The log about itself: which log this is, and how far a shard has read."""

from enum import Enum
from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Count, Event, Millis
from schemas.ids import Network


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


class Watermark(Event):
    """How far a shard has read.

    ``log_time`` is the newest append time among its inputs; when the shard had read all of
    them to the end, the time at which that end was asked for, by the log's clock: then it
    has all that was in the log by then. While one input lags behind, it is the time of the foremost.
    """

    schema_: Literal["watermark/1"] = Field("watermark/1", alias="schema")
    shard: Count
    log_time: Millis
