"""The edge as a process of its own that also knows the bare loop.

``python -m benchmarks.edge_server LOG``. It prints its port. For a line ``cost`` it prints
the CPU and the memory it has used; for ``bare`` it prints the CPU and then writes what it
last sent once more to the same sockets, each client's bytes in a call, and nothing else.
"""

import asyncio
import json
import resource
import sys
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from edge import service
from edge.clients import Clients
from edge.config import EdgeConfig
from edge.core.hub import Hub, Write
from eventlog.sqlite import SqliteConfig, open_sqlite
from runtime.clock import SystemClock
from runtime.garbage import rare_collections

PARTITIONS = 1
_NEVER_S = 3_600.0
_PAGE_KIB = resource.getpagesize() // 1024


class _Remembering(Clients):
    """Clients whose last delivery can be sent again."""

    newest: "_Remembering"

    def __init__(self, hub: Hub, **told: Any) -> None:
        super().__init__(hub, **told)
        self.last: list[Write] = []
        _Remembering.newest = self

    async def deliver(self, writes: Iterable[Write]) -> None:
        self.last = list(writes)
        await super().deliver(self.last)

    def pairs(self) -> list[tuple[asyncio.Transport, bytes]]:
        """Return the sockets of the last delivery, each with its bytes."""
        transports = {client.id: client.transport for client in self}
        return [
            (transports[each], write.frames)
            for write in self.last
            for each in write.clients
            if each in transports
        ]


def _bare(pairs: Iterable[tuple[asyncio.Transport, bytes]]) -> None:
    for transport, frames in pairs:
        transport.write(frames)


async def _serve(path: str) -> None:
    clock = SystemClock()
    # Pings and leases come in bursts: one would fall into one measurement and not another.
    config = EdgeConfig("bench", port=0, ping_s=_NEVER_S, lease_s=_NEVER_S)
    log_config = SqliteConfig(Path(path), now_ms=clock.now_ms)
    async with (
        open_sqlite(log_config) as log,
        service.running(log, config, partitions=PARTITIONS, clock=clock) as edge,
    ):
        await edge.caught_up.wait()
        _say(port=edge.port)
        async for line in _lines():
            _obey(line.strip())


def _obey(word: bytes) -> None:
    if word == b"bare":
        pairs = _Remembering.newest.pairs()
        _say(cpu_s=time.process_time())
        _bare(pairs)
    else:
        resident = int(Path("/proc/self/statm").read_text().split()[1])
        _say(cpu_s=time.process_time(), memory_kib=resident * _PAGE_KIB)


async def _lines() -> AsyncIterator[bytes]:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        yield line


def _say(**said: float) -> None:
    print(json.dumps(said), flush=True)


def main() -> None:
    # The one that the service makes is to remember.
    vars(service)["Clients"] = _Remembering
    with rare_collections():
        asyncio.run(_serve(sys.argv[1]))


if __name__ == "__main__":
    main()
