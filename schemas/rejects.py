"""Refused input: where it stands, why, and as much of it as fits."""

from enum import Enum
from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Count, Event
from schemas.journal import Origin

MAX_ORIGINAL_BYTES = 65_536
# A key is at most a user and a contract; of a longer one, which is no key of ours, this
# much is kept.
MAX_KEY_BYTES = 1_024


class Reason(Enum):
    """Why an observation was refused."""

    SCHEMA = "schema"
    FUTURE = "future"
    CONFLICT = "conflict"
    UNKNOWN_READING = "unknown-reading"
    FULL = "full"


class Reject(Event):
    """One refused record of an input topic.

    ``field`` is the path of the first field that did not fit (``""``: the whole).
    ``original`` is base64 of the first 64 KiB of the value; ``size`` is that of the whole.
    """

    schema_: Literal["reject/1"] = Field("reject/1", alias="schema")
    origin: Origin
    reason: Annotated[Reason, Field(strict=False)]
    field: Annotated[str, Field(max_length=200)]
    original: Annotated[str, Field(pattern="^[A-Za-z0-9+/]*={0,2}$")]
    size: Count
