"""What connections have from the port that accepted them."""

import asyncio
import socket

import pytest

from edge.listening import taking

STALL_S = 30.0


class Accepted(asyncio.Protocol):
    """Hands out the socket of the one connection that is made."""

    def __init__(self) -> None:
        self.socket: asyncio.Future[socket.socket] = asyncio.Future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.socket.set_result(transport.get_extra_info("socket"))


@pytest.mark.skipif(
    not hasattr(socket, "TCP_USER_TIMEOUT"), reason="needs Linux: no TCP_USER_TIMEOUT"
)
async def test_the_system_gives_up_a_connection_whose_other_side_is_gone() -> None:
    accepted = Accepted()
    taken = taking(lambda: accepted, "127.0.0.1", 0, shared=False, stall_s=STALL_S)
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
