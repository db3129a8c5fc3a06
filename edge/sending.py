"""Long answers to GET, each sent as fast as its reader takes it, with bounds on what waits.

An answer is cut into slices, and a slice is written when the socket has taken those before
it: so what lies in a connection is bounded, and readers of one answer share its bytes. While
there are slow readers of many different answers, the bytes of all these are bounded too: the
answer that has been under way for longest is cut off. A reader that takes nothing for a while
is dropped, as every client is.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from aiohttp import hdrs, web

from edge.clients import limit_unsent
from edge.config import EdgeConfig
from edge.core.patience import Progress, is_late
from runtime.clock import Clock
from runtime.metrics import ANSWER_BYTES, ANSWERS, CLOSED

_logger = logging.getLogger("edge.sending")
# Longer answers than this are sent in slices.
LONG_BYTES = 65_536
_SLICE_BYTES = 16_384
# A fast reader gives the others a turn after so many slices.
_SLICES_A_TURN = 16
_LOOKS = 6  # at a reader that takes nothing, before it is dropped


class LongAnswer(web.StreamResponse):
    """An answer whose ``pieces`` are sent one after the other; others may share them."""

    def __init__(
        self, pieces: Sequence[bytes], headers: Mapping[str, str], *, status: int = 200
    ) -> None:
        length = f"{sum(map(len, pieces))}"
        super().__init__(
            status=status, headers={**headers, hdrs.CONTENT_LENGTH: length}
        )
        self.pieces = pieces


def answer_of(
    pieces: Sequence[bytes], headers: Mapping[str, str]
) -> web.StreamResponse:
    """Return the answer that is some pieces, one after the other."""
    if sum(map(len, pieces)) > LONG_BYTES:
        return LongAnswer(pieces, headers)
    return web.Response(body=b"".join(pieces), headers=headers)


def sliced(answer: web.StreamResponse) -> web.StreamResponse:
    """Return an answer as one that is sent in slices, if it is long."""
    body = answer.body if isinstance(answer, web.Response) else None
    if not isinstance(body, bytes) or len(body) <= LONG_BYTES:
        return answer
    return LongAnswer([body], dict(answer.headers), status=answer.status)


@dataclass(slots=True, eq=False)
class _Sending:
    """One answer under way."""

    pieces: Sequence[bytes]
    transport: asyncio.Transport
    progress: Progress = field(default_factory=Progress)


class Answers:
    """The long answers that are under way."""

    def __init__(self, config: EdgeConfig, *, clock: Clock) -> None:
        self._config, self._clock = config, clock
        # In the order in which they were begun.
        self._under_way: dict[_Sending, None] = {}
        # How many are sending a piece, by its identity, and how long all these are.
        self._shares: dict[int, int] = {}
        self._bytes = 0

    def __len__(self) -> int:
        """Return how many are under way."""
        return len(self._under_way)

    @property
    def held_bytes(self) -> int:
        """The bytes of all answers under way, those that are shared counted once."""
        return self._bytes

    def measure(self) -> None:
        """Set the metrics."""
        ANSWERS.set(len(self))
        ANSWER_BYTES.set(self._bytes)

    async def send(self, request: web.Request, answer: LongAnswer) -> None:
        """Send an answer to the end, or until its reader has gone or is dropped."""
        transport = request.transport
        if transport is None:  # gone already
            return
        config = self._config
        limit_unsent(transport, config.unsent_bytes)
        transport.set_write_buffer_limits(
            high=config.mark_bytes, low=config.mark_bytes // 4
        )
        sending = _Sending(answer.pieces, transport)
        self._begin(sending)
        try:
            await answer.prepare(request)
            if request.method != hdrs.METH_HEAD:
                await self._write(request, answer, sending)
        except ConnectionError as error:
            _logger.debug("connection lost", extra={"why": str(error)})
        finally:
            self._end(sending)

    async def _write(
        self, request: web.Request, answer: LongAnswer, sending: _Sending
    ) -> None:
        written = 0
        for piece in sending.pieces:
            view = memoryview(piece)
            for start in range(0, len(view), _SLICE_BYTES):
                await answer.write(view[start : start + _SLICE_BYTES])
                written += 1
                if request.protocol.writing_paused:
                    await self._drain(request, sending)
                elif written % _SLICES_A_TURN == 0:
                    await self._clock.sleep(0)

    async def _drain(self, request: web.Request, sending: _Sending) -> None:
        """Wait until the socket takes more; drop a reader that takes nothing."""
        clock, every_s = self._clock, self._config.stall_s / _LOOKS
        async with asyncio.TaskGroup() as group:
            draining = group.create_task(_drained(request), name="drain an answer")
            while not draining.done():
                began_s = clock.monotonic_s()
                looking = group.create_task(clock.sleep(every_s), name="look again")
                await asyncio.wait(
                    {draining, looking}, return_when=asyncio.FIRST_COMPLETED
                )
                looking.cancel()
                waited_s = clock.monotonic_s() - began_s
                if not draining.done() and not is_late(waited_s, planned_s=every_s):
                    self._judge(sending)
        sending.progress.took()

    def _judge(self, sending: _Sending) -> None:
        stalled_s = sending.progress.stalled_s(
            sending.transport.get_write_buffer_size(), now_s=self._clock.monotonic_s()
        )
        if stalled_s >= self._config.stall_s:
            CLOSED.labels("stalled").inc()
            sending.transport.abort()

    # ---- what all of them hold

    def _begin(self, sending: _Sending) -> None:
        self._under_way[sending] = None
        for piece in sending.pieces:
            if not self._shares.get(id(piece)):
                self._bytes += len(piece)
            self._shares[id(piece)] = self._shares.get(id(piece), 0) + 1
        most = self._config.answer_bytes
        while most and self._bytes > most and len(self._under_way) > 1:
            oldest = next(iter(self._under_way))
            CLOSED.labels("answer bytes").inc()
            self._end(oldest)
            oldest.transport.abort()

    def _end(self, sending: _Sending) -> None:
        if sending not in self._under_way:  # cut off
            return
        del self._under_way[sending]
        for piece in sending.pieces:
            self._shares[id(piece)] -= 1
            if not self._shares[id(piece)]:
                del self._shares[id(piece)]
                self._bytes -= len(piece)


async def _drained(request: web.Request) -> None:
    with suppress(ConnectionError):  # who writes next finds that it is gone
        await request.writer.drain()
