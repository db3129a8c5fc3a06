"""What connections have from the port that accepted them."""

import asyncio
import errno
import logging
import os
import socket
from typing import Any

import pytest

from edge.config import Allowances
from edge.door import Door
from edge.listening import taking
from runtime.clock import SystemClock
from tests.support.clock import ManualClock
from tests.support.serving import LONG_S, config_of

STALL_S = 30.0
OUT_OF_FILES = os.strerror(errno.EMFILE)


class Accepted(asyncio.Protocol):
    """Hands out the socket of the one connection that is made."""

    def __init__(self) -> None:
        self.socket: asyncio.Future[socket.socket] = asyncio.Future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.socket.set_result(transport.get_extra_info("socket"))

    def close(self) -> None:
        self._transport.close()


@pytest.mark.skipif(
    not hasattr(socket, "TCP_USER_TIMEOUT"), reason="needs Linux: no TCP_USER_TIMEOUT"
)
async def test_the_system_gives_up_a_connection_whose_other_side_is_gone() -> None:
    accepted = Accepted()
    taken = taking(lambda: accepted, config_of(stall_s=STALL_S), clock=SystemClock())
    async with taken as listener:
        await listener.open()
        _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        found = await accepted.socket
        options = {
            name: found.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
            for name in ("TCP_USER_TIMEOUT", "TCP_KEEPIDLE", "TCP_KEEPINTVL")
        }
        assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert options == {
            "TCP_USER_TIMEOUT": 2 * STALL_S * 1_000,
            "TCP_KEEPIDLE": STALL_S,
            "TCP_KEEPINTVL": STALL_S / 3,
        }
        writer.close()


class OutOfFiles:
    """Accepts nobody until the process has ``room`` again."""

    def __init__(self) -> None:
        self.room = asyncio.Event()
        self.tries = 0

    def __call__(self, listening: socket.socket) -> tuple[socket.socket, Any]:
        self.tries += 1
        if not self.room.is_set():
            raise OSError(errno.EMFILE, OUT_OF_FILES)
        return listening.accept()


async def test_out_of_files_accepting_pauses_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "edge.listening")
    accepted, accept, clock = Accepted(), OutOfFiles(), ManualClock(0)
    taken = taking(lambda: accepted, config_of(), clock=clock, accept=accept)
    async with taken as listener, asyncio.timeout(LONG_S):
        await listener.open()
        _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        for tries, pause_s in enumerate((0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5), start=1):
            await clock.until_asleep(1)
            assert accept.tries == tries
            assert listener.trouble() == f"nobody can connect: {OUT_OF_FILES}"
            if pause_s == 5:
                accept.room.set()
            await clock.advance(pause_s)
        await accepted.socket
        assert listener.trouble() is None
        writer.close()
        accepted.close()
    assert [(r.levelname, r.msg) for r in caplog.records] == [
        ("WARNING", "accepting pauses"),
        ("INFO", "accepting goes on"),
    ]


async def test_a_port_can_be_left_while_accepting_pauses() -> None:
    accepted, clock = Accepted(), ManualClock(0)
    taken = taking(lambda: accepted, config_of(), clock=clock, accept=OutOfFiles())
    async with asyncio.timeout(LONG_S):
        async with taken as listener:
            await listener.open()
            _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            await clock.until_asleep(1)
        # Whoever stood in line is taken in all the same.
        await accepted.socket
    writer.close()
    accepted.close()


@pytest.mark.parametrize(
    ("wanted", "files", "lines"), [(1_000, 600, 1), (300, 600, 0), (0, 600, 0)]
)
async def test_more_connections_than_files_allow_are_warned_of(
    caplog: pytest.LogCaptureFixture, wanted: int, files: int, lines: int
) -> None:
    Door(
        config_of(allowances=Allowances(connections=wanted)),
        files=files,
        clock=SystemClock(),
    )
    assert len(caplog.records) == lines
