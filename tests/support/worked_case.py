"""A small log, the same each time to the millisecond: one afternoon of one user."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from app.topics import Wanted, apply
from eventlog.partition import partition_of
from eventlog.port import Entry, EventLog, Partition
from eventlog.sqlite import SqliteConfig, open_sqlite
from processor.core.batch import fold_batch
from processor.core.shard_state import ShardState
from schemas.balances import AccountConfirmed
from schemas.base import encode
from schemas.ids import Network
from schemas.journal import FoldSettings
from schemas.log import LogIdentity, World
from schemas.topics import PRICES_RAW, RAW
from tests.support.folding import (
    ALPHA,
    USER,
    holding,
    owner_of,
    price,
    reading,
    token,
    topic_of,
)
from tests.support.logs import read_one

WANTED = Wanted(Network.MAINNET, World.SIMULATED, partitions=2, audit_days=0)
_DAY = "2026-11-24"


class Said(NamedTuple):
    """A record and when the log took it."""

    taken_ms: int
    topic: str
    key: bytes
    value: bytes


def _at(clock: str) -> int:
    return round(datetime.fromisoformat(f"{_DAY}T{clock}+00:00").timestamp() * 1_000)


def _said(taken: str, event: object) -> Said:
    value = encode(event)  # type: ignore[arg-type] # each is a record
    return Said(_at(taken), topic_of(event), owner_of(event), value)  # type: ignore[arg-type] # as above


def afternoon() -> Iterator[Said]:
    """Yield what sources said: a user sends 300 of 1,500, and one reading is nonsense."""
    yield _said("14:00:00.100", token(at=_at("14:00:00.000"), decimals=6, name="Alpha"))
    first = reading(_at("14:00:05.000"), holding(ALPHA, 1_500_000_000))
    yield _said("14:00:05.210", first)
    same = AccountConfirmed(
        user_id=USER,
        source="hiro",
        observed_at=_at("14:01:05.000"),
        reading=sha256(encode(first)).hexdigest(),
    )
    yield _said("14:01:05.180", same)
    glitch = reading(_at("14:02:31.000"), holding(ALPHA, -300_000_000))
    yield _said("14:02:31.240", glitch)
    yield _said("14:02:40.120", price("0.4685", "kraxel", _at("14:02:40.000")))
    yield _said("14:02:59.140", price("0.469", "kraxel", _at("14:02:59.000")))
    yield Said(_at("14:03:01.000"), PRICES_RAW, ALPHA.encode(), b'{"usd":"0.47"')
    right = reading(_at("14:03:06.000"), holding(ALPHA, 1_200_000_000))
    yield _said("14:03:06.230", right)
    yield _said("14:03:07.150", price("0.4684", "stxtools", _at("14:03:07.000")))


def write_case(path: Path) -> None:
    """Write the log of that afternoon, each observation folded as it came."""
    asyncio.run(_write(path))


async def _write(path: Path) -> None:
    now_ms = _at("13:59:00.000")
    config = SqliteConfig(path, now_ms=lambda: now_ms)
    async with open_sqlite(config) as log:
        new_id = "0123456789abcdef" * 2
        applied = await apply(log, WANTED, new_id=new_id, now_ms=lambda: now_ms)
        states = {shard: ShardState(shard) for shard in range(WANTED.partitions)}
        for said in afternoon():
            now_ms = said.taken_ms
            shard = partition_of(said.key, WANTED.partitions)
            await log.append(said.topic, [(shard, Entry(said.key, said.value))])
            await _fold(log, states[shard], identity=applied.identity)


async def _fold(log: EventLog, state: ShardState, *, identity: LogIdentity) -> None:
    """Commit what is not yet folded of a shard."""
    state.start_at(dict.fromkeys(RAW, 0))
    inputs = []
    for topic, start in state.position.positions.items():
        records = await read_one(log, Partition(topic, state.shard))
        if new := [record for record in records if record.offset >= start]:
            inputs.append((topic, new))
    batch = fold_batch(state, inputs, settings=FoldSettings(), log=identity.digest)
    async with log.own(state.shard) as writer:
        await writer.commit(
            {
                topic: [Entry(*entry) for entry in entries]
                for topic, entries in batch.entries.items()
                if entries
            }
        )
    batch.apply()
