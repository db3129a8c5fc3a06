"""Restoring a shard from ``state``, beside reading the same records into a ``dict``."""

import gc
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from app.topics import specs
from benchmarks.logs import BATCH, opened
from benchmarks.market import START_MS, contracts
from benchmarks.trial import EXTRA, start
from eventlog.port import Entry, Partition, read_to
from processor.restore import Restored
from schemas.base import encode
from schemas.c32 import encode_address
from schemas.states import BalanceState, MainnetState
from schemas.topics import STATE

_TOKENS_A_USER = 50
_AT = Partition(STATE, 0)


def balances(count: int) -> Iterator[Entry]:
    """Yield ``count`` records of ``state``: users with fifty balances each."""
    tokens = contracts(_TOKENS_A_USER)
    for n in range(count):
        user, token = divmod(n, _TOKENS_A_USER)
        name = encode_address(22, user.to_bytes(20))
        mainnet = MainnetState(
            balance=str(START_MS + n), total_sent="0", total_received=str(n), own=None
        )
        state = BalanceState(mainnet=mainnet, subnets={}, version=1 + n % 7)
        yield Entry(f"balance:{name}:{tokens[token]}".encode(), encode(state))


async def fill(args: dict[str, Any]) -> int:
    """Write the state of a shard."""
    made = balances(args["count"])
    async with opened(args) as log:
        await log.create(specs(partitions=1, audit_days=0))
        async with log.own(0) as writer:
            while part := list(islice(made, BATCH)):
                await writer.commit({STATE: part})
    return int(args["count"])


async def restore(args: dict[str, Any]) -> int:
    """Restore as a shard does that was just acquired."""
    restored = Restored(0, progress=lambda *_: None)
    async with opened(args) as log, log.own(0) as writer:
        before = _resident_bytes()
        start()
        await restored.catch_up(log, writer, "bench")
        _note_memory(before, len(restored.state))
    return len(restored.state)


async def bare(args: dict[str, Any]) -> int:
    """Read the same records into one ``dict``."""
    held: dict[bytes, bytes] = {}
    async with opened(args) as log:
        oldest, ends = await log.oldest([_AT]), await log.ends([_AT])
        async with log.reader(oldest) as reader:
            before = _resident_bytes()
            start()
            async for batches in read_to(reader, ends, max_records=2_000):
                for record in batches[_AT]:
                    held[record.key or b""] = record.value or b""
            _note_memory(before, len(held))
    return len(held)


def _note_memory(before: int, keys: int) -> None:
    EXTRA["bytes_a_key"] = (_resident_bytes() - before) / keys


def _resident_bytes() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
