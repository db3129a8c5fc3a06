"""Lines of history: from the text of a file to entries of the raw topics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

import orjson
from pydantic import Field, ValidationError

from schemas.amounts import price_text
from schemas.balances import AccountConfirmed, AccountRead, SubnetRead, UserForgotten
from schemas.base import MAX_INT, Malformed, decoder, encode, first_field
from schemas.ids import ContractId, parse_contract_id
from schemas.prices import PriceObserved
from schemas.tokens import TokenObserved
from schemas.topics import BALANCES_RAW, PRICES_RAW, TOKENS_RAW

COLUMNS = ("contractId", "source", "usd", "observedAt")
OPTIONAL_COLUMNS = ("sequence",)

Observation = (
    PriceObserved
    | AccountRead
    | AccountConfirmed
    | SubnetRead
    | UserForgotten
    | TokenObserved
)
_read: Callable[[bytes], Observation | Malformed] = decoder(
    Annotated[Observation, Field(discriminator="schema_")]
)


@dataclass(frozen=True, slots=True)
class Past:
    """One observation of the past, ready to be appended."""

    topic: str
    key: bytes
    value: bytes
    observed_at: int
    sequence: int


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line that is no observation, and why."""

    why: str


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


def from_json(line: bytes) -> Past | BadRow:
    """Read a line of JSON Lines: the value of a raw record, kept byte for byte.

    Kept, because a confirmation names the hash of the reading's bytes.
    """
    value = line.strip()
    seen = _read(value)
    if isinstance(seen, Malformed):
        return BadRow(f"not an observation, at {seen.field or 'the whole line'}")
    return past_of(seen, value)


def from_columns(row: Mapping[str, Any]) -> Past | BadRow:
    """Read a row of prices; values may be text or numbers."""
    contract = parse_contract_id(str(row["contractId"]))
    usd = _usd(row["usd"])
    moment, sequence = _count(row["observedAt"]), _count(row.get("sequence") or 0)
    if contract is None or usd is None or moment is None or sequence is None:
        return BadRow(_first_bad(contract, usd=usd, moment=moment))
    try:
        seen = PriceObserved(
            contract_id=contract,
            source=str(row["source"]),
            usd=usd,
            observed_at=moment,
            sequence=sequence,
        )
    except ValidationError as error:
        return BadRow(f"not a {first_field(error)}")
    return past_of(seen)


def newest_moment(value: bytes | None) -> int:
    """Return ``observedAt`` of a raw record, -1 when it has none."""
    try:
        found = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return -1
    moment = found.get("observedAt") if isinstance(found, dict) else None
    return moment if isinstance(moment, int) else -1


def _first_bad(
    contract: ContractId | None, *, usd: str | None, moment: int | None
) -> str:
    if contract is None:
        return "not a contractId"
    if usd is None:
        return "not a usd price"
    return "not an observedAt (milliseconds)" if moment is None else "not a sequence"


def _usd(said: Any) -> str | None:
    # The shortest decimal that reads back as the same double is what was meant.
    return price_text(repr(said) if isinstance(said, float) else _number_text(said))


def _number_text(said: Any) -> str | Decimal | int:
    return said if isinstance(said, Decimal | int) else str(said).strip()


def _count(said: Any) -> int | None:
    text = str(said).strip()
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_INT))):
        return None
    return int(text) if int(text) <= MAX_INT else None
