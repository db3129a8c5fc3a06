"""Short ways to say observations and to fold them, one a commit."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from eventlog.port import Record
from processor.core.batch import NEWEST, Batch, Generation, fold_batch
from processor.core.shard_state import ShardState
from schemas.balances import (
    AccountConfirmed,
    AccountRead,
    Holding,
    SubnetRead,
    UserForgotten,
)
from schemas.base import Event, decoder, encode
from schemas.ids import ContractId, UserId
from schemas.journal import FoldSettings
from schemas.latest import Latest, decode_latest
from schemas.prices import Market, PriceObserved
from schemas.rejects import Reject
from schemas.tokens import TokenFields, TokenObserved
from schemas.topics import BALANCES_RAW, LATEST, PRICES_RAW, RAW, REJECTS, TOKENS_RAW
from tests.support.worlds import SUBNETS, TOKENS, USERS

USER = UserId(USERS[0])
STX, ALPHA, BETA = (ContractId(token) for token in TOKENS)
ALPHA_SUBNET, BETA_SUBNET = (ContractId(subnet) for subnet in SUBNETS)
SHARD = 3
APPENDED_MS = 10_000_000
SHA = "a" * 64

# A topic, a key and a value.
Raw = tuple[str, bytes | None, bytes | None]
_rejected = decoder(Reject)


def price(
    usd: str,
    source: str = "a",
    at: int = 1,
    *,
    sequence: int = 0,
    market: Market | None = None,
    token: ContractId = ALPHA,
) -> PriceObserved:
    return PriceObserved(
        contract_id=token,
        source=source,
        usd=usd,
        observed_at=at,
        sequence=sequence,
        market=market,
    )


def holding(
    token: ContractId,
    balance: int,
    *,
    sent: int | None = None,
    received: int | None = None,
) -> Holding:
    return Holding(
        contract_id=token,
        balance=f"{balance}",
        total_sent=None if sent is None else f"{sent}",
        total_received=None if received is None else f"{received}",
    )


def reading(at: int, *holdings: Holding, source: str = "hiro") -> AccountRead:
    return AccountRead(
        user_id=USER, source=source, observed_at=at, holdings=tuple(holdings)
    )


def confirmed(at: int, of: str) -> AccountConfirmed:
    return AccountConfirmed(user_id=USER, source="hiro", observed_at=at, reading=of)


def subnet(
    at: int,
    balance: int,
    *,
    base: ContractId = ALPHA,
    contract: ContractId = ALPHA_SUBNET,
    source: str = "node",
) -> SubnetRead:
    return SubnetRead(
        user_id=USER,
        subnet_id=contract,
        base_id=base,
        source=source,
        observed_at=at,
        balance=f"{balance}",
    )


def forgotten(at: int) -> UserForgotten:
    return UserForgotten(user_id=USER, observed_at=at)


def token(
    source: str = "hiro", at: int = 1, *, of: ContractId = ALPHA, **fields: Any
) -> TokenObserved:
    return TokenObserved(
        contract_id=of, source=source, observed_at=at, fields=TokenFields(**fields)
    )


def topic_of(event: Event) -> str:
    match event:
        case PriceObserved():
            return PRICES_RAW
        case TokenObserved():
            return TOKENS_RAW
        case _:
            return BALANCES_RAW


def owner_of(event: Any) -> bytes:
    owner: str = getattr(event, "user_id", None) or event.contract_id
    return owner.encode()


def raw_of(event: Event) -> Raw:
    """Return an observation as it is appended."""
    return topic_of(event), owner_of(event), encode(event)


class Told(NamedTuple):
    """What one observation led to: decisions, values by key, reasons of refusal."""

    decisions: dict[str, int]
    values: dict[str, Latest | None]
    refused: tuple[str, ...]


class Folding:
    """A shard that folds what it is told, one observation a commit."""

    def __init__(self, generation: Generation = NEWEST, **settings: Any) -> None:
        self.generation = generation
        self.settings = FoldSettings(**settings)
        self.state = ShardState(SHARD)
        self.offsets = dict.fromkeys(RAW, 0)

    def tell(self, event: Event, *, time_ms: int = APPENDED_MS) -> Told:
        return self.read(topic_of(event), owner_of(event), encode(event), time_ms)

    def read(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        time_ms: int = APPENDED_MS,
    ) -> Told:
        record = Record(self.offsets[topic], time_ms, key, value)
        self.offsets[topic] += 1
        batch = fold_batch(
            self.state,
            [(topic, [record])],
            settings=self.settings,
            generation=self.generation,
        )
        batch.apply()
        return told(batch)

    def tell_all(self, events: Sequence[Event]) -> Told:
        """Tell each; return what the last led to."""
        last = Told({}, {}, ())
        for event in events:
            last = self.tell(event)
        return last


def told(batch: Batch) -> Told:
    return Told(
        {name.partition(".")[2]: count for name, count in batch.decisions.items()},
        {_short(key): _read(key, value) for key, value, _ in batch.entries[LATEST]},
        tuple(_reason(value) for _, value, _ in batch.entries[REJECTS]),
    )


def _short(key: bytes | None) -> str:
    """Return a key with the names of this module for the ids."""
    names = {USER: "USER", STX: "STX", ALPHA: "ALPHA", BETA: "BETA"}
    parts = (key or b"").decode().split(":")
    return ":".join(names.get(ContractId(part), part) for part in parts)


def _read(key: bytes | None, value: bytes | None) -> Latest | None:
    if value is None:
        return None
    read = decode_latest(key or b"", value)
    # What is published is what the models say, byte for byte.
    assert isinstance(read, Event)
    assert encode(read) == value
    return read


def _reason(value: bytes | None) -> str:
    reject: Reject = _rejected(value or b"")
    return reject.reason.value


Inputs = list[tuple[str, Sequence[Record]]]


def inputs_of(drawn: Sequence[Raw]) -> Inputs:
    """Return topic, key and value of many as the records of one shard."""
    inputs: dict[str, list[Record]] = {topic: [] for topic in RAW}
    for topic, key, value in drawn:
        records = inputs[topic]
        records.append(Record(len(records), APPENDED_MS, key, value))
    return [(topic, records) for topic, records in inputs.items() if records]
