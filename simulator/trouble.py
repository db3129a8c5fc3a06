"""Faults made real: answers replaced, spoilt, held back or cut off."""

import asyncio
import json

from aiohttp import web
from aiohttp.typedefs import Handler

from .answers import answer, answered_from, stage_of
from .core.faults import Fault, Kind, inflated, reply, wrong_types


async def suffer(
    request: web.Request, handler: Handler, fault: Fault
) -> web.StreamResponse:
    """Answer a request as the fault has it."""
    whole = reply(fault)
    if whole is not None:
        return web.Response(
            status=whole.status,
            text=whole.body,
            content_type=whole.content_type,
            headers=whole.headers,
        )
    match fault.kind:
        case Kind.SLOW:
            await asyncio.sleep(fault.delay_s)
            return await handler(request)
        case Kind.TIMEOUT:
            # Until the client gives up, which cancels the handler, or the server stops.
            await stage_of(request).stopping.wait()
            return web.Response(status=504)
        case Kind.DISCONNECT:
            cut(request)
            return web.Response(status=500)
        case Kind.LAGGING:
            ledger = stage_of(request).ledger.rewound(fault.blocks)
        case Kind.EMPTIED:
            ledger = stage_of(request).ledger.emptied()
        case _:
            return await _spoilt(request, handler, fault)
    with answered_from(ledger):
        return await handler(request)


async def _spoilt(
    request: web.Request, handler: Handler, fault: Fault
) -> web.StreamResponse:
    real = await handler(request)
    if not isinstance(real, web.Response) or not real.text:
        return real
    if fault.kind is Kind.WRONG_TYPE:
        return answer(wrong_types(json.loads(real.text)))
    if fault.kind is Kind.INFLATED:
        return answer(inflated(json.loads(real.text)))
    whole = real.text.encode()
    torn = web.StreamResponse(headers={"Content-Length": str(len(whole))})
    torn.content_type = real.content_type
    await torn.prepare(request)
    await torn.write(whole[: len(whole) // 2])
    if request.transport is not None:
        request.transport.close()
    return torn


def cut(request: web.Request) -> None:
    """Cut the connection of a request off, with nothing said."""
    if request.transport is not None:
        request.transport.abort()
