"""A proxy before a broker that holds back single requests or answers by their kind."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import Enum

from tests.support.kafka_refusal import PRODUCE, Refusal

# The protocol's numbers of requests.
FETCH, METADATA, OFFSET_FETCH, FIND_COORDINATOR, JOIN_GROUP = 1, 3, 9, 10, 11
INIT_PRODUCER_ID = 22
END_TXN = 26  # commits or aborts

_GONE = (asyncio.IncompleteReadError, ConnectionError)


class Meddle(Enum):
    """What may happen to an answer of the broker on its way."""

    DELAY = "it comes late, and so does all behind it on its connection"
    CUT = "its connection is closed instead"
    LOSE = "it never comes, all behind it does"


@dataclass
class Meddling:
    """What happens to the next ``left`` answers to requests of a kind; counts them."""

    kind: int
    how: Meddle
    left: int
    delay_s: float = 0.0
    met: int = 0


class KafkaProxy:
    """Passes frames both ways between clients and the broker at ``target_port``."""

    def __init__(self) -> None:
        self.target_port = 0
        self.port = 0
        self._holding: frozenset[int] = frozenset()
        self._losing: frozenset[int] = frozenset()
        self._held: list[tuple[asyncio.StreamWriter, bytes]] = []
        self._released = asyncio.Event()
        self._meddling: list[Meddling] = []
        self._refusals: list[Refusal] = []

    @contextmanager
    def meddling(
        self, kind: int, how: Meddle, *, count: int, delay_s: float = 0.0
    ) -> Iterator[Meddling]:
        """Meddle with the next ``count`` answers to requests of a kind."""
        meddling = Meddling(kind, how, count, delay_s)
        self._meddling.append(meddling)
        try:
            yield meddling
        finally:
            self._meddling.remove(meddling)

    @contextmanager
    def refusing(self, topic: str) -> Iterator[Refusal]:
        """Refuse the next records for a topic, once; the broker takes all others."""
        refusal = Refusal(topic)
        self._refusals.append(refusal)
        try:
            yield refusal
        finally:
            self._refusals.remove(refusal)

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
                    broker.write(self._as_refused(frame, kind))
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
                kind = kinds.pop(frame[4:8])
                if kind not in self._losing and await self._arrives(kind, client):
                    client.write(self._with_refusals(frame, kind))
        except _GONE:
            client.close()

    async def _arrives(self, kind: int, client: asyncio.StreamWriter) -> bool:
        """Let happen to an answer what is to; tell whether it is passed on."""
        for meddling in self._meddling:
            if meddling.kind == kind and meddling.left:
                meddling.left -= 1
                meddling.met += 1
                if meddling.how is Meddle.DELAY:
                    await asyncio.sleep(meddling.delay_s)
                elif meddling.how is Meddle.CUT:
                    client.close()
                return meddling.how is Meddle.DELAY
        return True

    def _as_refused(self, frame: bytes, kind: int) -> bytes:
        """Take out of a request what is to be refused."""
        if kind == PRODUCE:
            for refusal in self._refusals:
                frame = refusal.without(frame)
        return frame

    def _with_refusals(self, frame: bytes, kind: int) -> bytes:
        """Put into an answer what was refused of its request."""
        if kind == PRODUCE:
            for refusal in self._refusals:
                frame = refusal.answered(frame)
        return frame


async def _frame(reader: asyncio.StreamReader) -> bytes:
    """Return one frame of the protocol, with the length before it."""
    head = await reader.readexactly(4)
    return head + await reader.readexactly(int.from_bytes(head))


@asynccontextmanager
async def open_proxy(port: int = 0) -> AsyncIterator[KafkaProxy]:
    """Open a proxy on a port, else on a free one.

    Name its target before the first client comes.
    """
    proxy = KafkaProxy()
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", port)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        proxy.release()
        server.close()
        await server.wait_closed()
