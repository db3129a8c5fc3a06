"""Hiro's WebSocket push, with its ways of falling silent."""

import asyncio
from contextlib import suppress

from aiohttp import WSCloseCode, WSMsgType, web

from .answers import stage_of
from .core import push
from .core.faults import NOTIFY_KINDS, Kind
from .stage import Listener, Stage
from .trouble import cut


def routes() -> list[web.RouteDef]:
    """Return the route of the push, below ``/hiro`` as its HTTP is."""
    return [web.get(f"/hiro{push.PATH}", _push)]


async def _push(request: web.Request) -> web.WebSocketResponse:
    stage = stage_of(request)
    # Pings and pongs are ours: who misses one keeps the socket and loses what it asked.
    socket = web.WebSocketResponse(autoping=False, max_msg_size=64 * 1024)
    await socket.prepare(request)
    listener = Listener(cut_off=lambda: cut(request))
    stage.listeners.append(listener)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_send(stage, socket, listener), name="push send"),
                group.create_task(_ping(stage, listener), name="push ping"),
                group.create_task(_close(stage, socket), name="push close"),
            ]
            await _receive(socket, listener)
            for task in tasks:
                task.cancel()
    finally:
        stage.listeners.remove(listener)
    return socket


async def _receive(socket: web.WebSocketResponse, listener: Listener) -> None:
    async for message in socket:
        match message.type:
            case WSMsgType.TEXT:
                answer, listener.topics = push.respond(listener.topics, message.data)
                if answer is not None:
                    listener.offer(answer)
            case WSMsgType.PING:
                await socket.pong(message.data)
            case WSMsgType.PONG:
                listener.answered_ping = True
            case _:
                pass


async def _send(
    stage: Stage, socket: web.WebSocketResponse, listener: Listener
) -> None:
    while True:
        frame = await listener.waiting.get()
        # The reader learns of a dead socket as well, and ends the handler.
        with suppress(ConnectionError):
            if frame is None:
                await socket.ping()
            else:
                await _notify(stage, socket, listener, frame)


async def _notify(
    stage: Stage, socket: web.WebSocketResponse, listener: Listener, frame: str
) -> None:
    fault = stage.fault("push", push.PATH, NOTIFY_KINDS)
    match fault.kind if fault else None:
        case Kind.MUTE:
            pass
        case Kind.DISCONNECT:
            listener.cut_off()
        case Kind.MALFORMED:
            await socket.send_str(push.MALFORMED_FRAME)
        case _:
            await socket.send_str(frame)


async def _ping(stage: Stage, listener: Listener) -> None:
    while True:
        await asyncio.sleep(stage.config.ping_s)
        stage.ping(listener)


async def _close(stage: Stage, socket: web.WebSocketResponse) -> None:
    await stage.stopping.wait()
    await socket.close(code=WSCloseCode.GOING_AWAY)
