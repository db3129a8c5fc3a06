"""A TCP balancer: every connection goes to the next server in turn that takes it."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.feeding import Relay

Far = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Balancer(Relay):
    """Knows nothing of what it carries; who cannot be connected to is passed over."""

    def __init__(self, *ports: int) -> None:
        super().__init__()
        self.ports = [*ports]
        self._turns = itertools.count()

    async def carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        far = await self._reached()
        if far is None:
            writer.transport.abort()
            return
        far_reader, far_writer = far
        self._writers |= {writer, far_writer}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._copy(reader, far_writer), name="to the server")
            group.create_task(self._copy(far_reader, writer), name="to the client")
        self._writers -= {writer, far_writer}

    async def _reached(self) -> Far | None:
        first = next(self._turns)
        for step in range(len(self.ports)):
            port = self.ports[(first + step) % len(self.ports)]
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)
        return None


@asynccontextmanager
async def balancing(*ports: int) -> AsyncIterator[Balancer]:
    """Listen on ``port`` of what is yielded; ``ports`` may be changed at any time."""
    balancer = Balancer(*ports)
    server = await asyncio.start_server(balancer.carry, "127.0.0.1", 0)
    balancer.port = server.sockets[0].getsockname()[1]
    try:
        yield balancer
    finally:
        balancer.cut()
        server.close()
        await server.wait_closed()
