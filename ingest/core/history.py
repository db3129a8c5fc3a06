"""Observations as entries of the raw topics."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import orjson
from pydantic import Field

from schemas.balances import AccountConfirmed, AccountRead, SubnetRead, UserForgotten
from schemas.base import Malformed, decoder, encode
from schemas.prices import PriceObserved
from schemas.tokens import TokenObserved
from schemas.topics import BALANCES_RAW, PRICES_RAW, TOKENS_RAW

Observation = (
    PriceObserved
    | AccountRead
    | AccountConfirmed
    | SubnetRead
    | UserForgotten
    | TokenObserved
)
decode_observation: Callable[[bytes], Observation | Malformed] = decoder(
    Annotated[Observation, Field(discriminator="schema_")]
)


@dataclass(frozen=True, slots=True)
class Past:
    """One observation, ready to be appended."""

    topic: str
    key: bytes
    value: bytes
    observed_at: int
    sequence: int


def topic_and_key(seen: Observation) -> tuple[str, bytes]:
    """Return where an observation belongs: its topic and its key."""
    match seen:
        case PriceObserved():
            return PRICES_RAW, seen.contract_id.encode()
        case TokenObserved():
            return TOKENS_RAW, seen.contract_id.encode()
        case _:
            return BALANCES_RAW, seen.user_id.encode()


def past_of(seen: Observation, value: bytes | None = None) -> Past:
    """Return the entry of an observation; ``value`` if its bytes are known."""
    topic, key = topic_and_key(seen)
    return Past(
        topic=topic,
        key=key,
        value=encode(seen) if value is None else value,
        observed_at=seen.observed_at,
        sequence=seen.sequence,
    )


def newest_moment(value: bytes | None) -> int:
    """Return ``observedAt`` of a raw record, -1 when it has none."""
    try:
        found = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return -1
    moment = found.get("observedAt") if isinstance(found, dict) else None
    return moment if isinstance(moment, int) else -1
