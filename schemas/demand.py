"""Who is watched, and what should be read again now."""

from enum import Enum
from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Event, Millis
from schemas.ids import UserIdField

EdgeName = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class RefreshKind(Enum):
    """What a refresh request asks for."""

    PRICES = "prices"
    BALANCES = "balances"


class Lease(Event):
    """An edge has subscribers of this user; good until ``expires_at`` unless renewed.

    The edge withdraws it with a tombstone when its last subscriber leaves.
    """

    schema_: Literal["lease/1"] = Field("lease/1", alias="schema")
    user_id: UserIdField
    edge: EdgeName
    renewed_at: Millis
    expires_at: Millis


class Refresh(Event):
    """Somebody asked for a reading now; ignored when older than 60 s."""

    schema_: Literal["refresh/1"] = Field("refresh/1", alias="schema")
    kind: Annotated[RefreshKind, Field(strict=False)]
    requested_at: Millis
