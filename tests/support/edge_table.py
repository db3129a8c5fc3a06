"""Records of ``latest`` and what the edge makes of them, for tests of its core."""

import json
from collections.abc import Iterable
from typing import Any

from edge.core.places import Place
from edge.core.table import Table
from schemas.balances import Balance, MainnetPart, SubnetPart
from schemas.base import encode
from schemas.ids import ContractId, Network, UserId
from schemas.latest import (
    IDENTITY_KEY,
    balance_key,
    price_key,
    terms_key,
    token_key,
)
from schemas.log import LogIdentity, Term, Terms, World
from schemas.prices import Market, Price
from schemas.tokens import Token, TokenFields

Record = tuple[bytes, bytes | None]

NOW_MS, SEEN_MS = 1_700_000_000_000, 1_699_999_999_000
ANNE = UserId("SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS")
BOB = UserId("SP3NE50GEXFG9SZGTT51P40X2CKYSZ5CC4ZTZ7A2G")
CHA = ContractId(f"{ANNE}.charisma-token")
CHA_SUBNET = ContractId(f"{ANNE}.charisma-token-subnet-v1")
WELSH = ContractId(f"{BOB}.welshcorgicoin-token")
MARKET = Market(change1h="0.5", change24h="-1.25", change7d=None, market_cap="1000000")


def identity(
    world: World = World.LIVE,
    network: Network = Network.MAINNET,
    *,
    partitions: int = 2,
) -> Record:
    said = LogIdentity(
        id="0" * 32,
        network=network,
        world=world,
        partitions=partitions,
        created_at=0,
    )
    return IDENTITY_KEY, encode(said)


def terms(shard: int, *terms: Term) -> Record:
    """Return the terms of a shard; without any it has one that began with the log."""
    first = Term(f"{shard:012x}", 0, 0)
    return terms_key(shard), encode(Terms(shard=shard, terms=terms or (first,)))


def price(
    contract: ContractId, usd: str, market: Market | None = None, *, version: int = 1
) -> Record:
    value = Price(
        contract_id=contract,
        usd=usd,
        version=version,
        observed_at=SEEN_MS,
        origins=(),
        market=market,
    )
    return price_key(contract), encode(value)


def token(contract: ContractId, **fields: Any) -> Record:
    value = Token(
        contract_id=contract,
        fields=TokenFields(**fields),
        version=1,
        observed_at=SEEN_MS,
        origins=(),
    )
    return token_key(contract), encode(value)


def balance(
    user: UserId,
    contract: ContractId,
    amount: int | None,
    *,
    version: int = 1,
    totals: tuple[str, str] | None = None,
    subnets: dict[ContractId, int] | None = None,
) -> Record:
    sent, received = totals or (None, None)
    main = MainnetPart(
        balance=f"{amount or 0}",
        total_sent=sent,
        total_received=received,
        observed_at=1,
    )
    value = Balance(
        user_id=user,
        contract_id=contract,
        mainnet=None if amount is None else main,
        subnets={
            subnet: SubnetPart(balance=f"{held}", observed_at=SEEN_MS)
            for subnet, held in (subnets or {}).items()
        },
        version=version,
        observed_at=SEEN_MS,
        origins=(),
    )
    return balance_key(user, contract), encode(value)


def gone(record: Record) -> Record:
    """Return the tombstone of a record's key."""
    return record[0], None


def a_table(*records: Record) -> Table:
    table = Table()
    for number, (key, value) in enumerate(records):
        table.apply(key, value, Place(0, number, NOW_MS))
    return table


def messages(frames: bytes) -> list[bytes]:
    """Return the texts of whole, unmasked, final text frames."""
    found = []
    while frames:
        assert frames[0] == 0x81
        size, start = frames[1], 2
        if size >= 126:
            start = {126: 4, 127: 10}[size]
            size = int.from_bytes(frames[2:start], "big")
        found.append(frames[start : start + size])
        assert len(found[-1]) == size
        frames = frames[start + size :]
    return found


def heard(frames: Iterable[bytes]) -> list[Any]:
    """Return the messages in frames as JSON values."""
    return [json.loads(text) for each in frames for text in messages(each)]
