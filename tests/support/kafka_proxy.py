"""A proxy before a broker that holds back single requests or answers by their kind."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

END_TXN = 26  # the protocol's number of the request that commits or aborts

_GONE = (asyncio.IncompleteReadError, ConnectionError)


class KafkaProxy:
    """Passes frames both ways between clients and the broker at ``target_port``."""

    def __init__(self) -> None:
        self.target_port = 0
        self.port = 0
        self._holding: frozenset[int] = frozenset()
        self._losing: frozenset[int] = frozenset()
        self._held: list[tuple[asyncio.StreamWriter, bytes]] = []
        self._released = asyncio.Event()

    @contextmanager
    def holding_requests(self, kind: int) -> Iterator[None]:
        """Keep requests of a kind from the broker until ``release``."""
        self._holding = frozenset({kind})
        self._released.clear()
        yield
        self._holding = frozenset()

    @contextmanager
    def losing_answers(self, kind: int) -> Iterator[None]:
        """Pass requests of a kind on, and throw away what the broker says to them."""
        self._losing = frozenset({kind})
        yield
        self._losing = frozenset()

    def release(self) -> int:
        """Let the broker have what was held, though its sender is gone; count it."""
        held, self._held = self._held, []
        for writer, frame in held:
            writer.write(frame)
        self._released.set()
        return len(held)

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve one client's connection until either side is gone."""
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.close()
            return
        kinds: dict[bytes, int] = {}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._requests(reader, back, kinds))
                tasks.create_task(self._answers(there, writer, kinds))
        finally:
            back.close()
            writer.close()

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        broker: asyncio.StreamWriter,
        kinds: dict[bytes, int],
    ) -> None:
        try:
            while True:
                frame = await _frame(reader)
                kind = int.from_bytes(frame[4:6])
                kinds[frame[8:12]] = kind
                if kind in self._holding:
                    self._held.append((broker, frame))
                else:
                    broker.write(frame)
        except _GONE:
            if any(writer is broker for writer, _ in self._held):
                await self._released.wait()
            broker.close()

    async def _answers(
        self,
        broker: asyncio.StreamReader,
        client: asyncio.StreamWriter,
        kinds: dict[bytes, int],
    ) -> None:
        try:
            while True:
                frame = await _frame(broker)
                if kinds.pop(frame[4:8]) not in self._losing:
                    client.write(frame)
        except _GONE:
            client.close()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    """Return one frame of the protocol, with the length before it."""
    head = await reader.readexactly(4)
    return head + await reader.readexactly(int.from_bytes(head))


@asynccontextmanager
async def open_proxy() -> AsyncIterator[KafkaProxy]:
    """Open a proxy on a free port; name its target before the first client comes."""
    proxy = KafkaProxy()
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        proxy.release()
        server.close()
        await server.wait_closed()
