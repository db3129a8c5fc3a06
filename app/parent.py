"""Lets a child end when the process that started it has gone, even by ``kill -9``."""

import asyncio
import sys

from app.errors import OperatorError


async def until_parent_is_gone() -> None:
    """Wait for the end of stdin, which the parent holds open while it lives; then raise."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        await reader.read()
    finally:
        transport.close()
    raise OperatorError("the process that started this one is gone")
