"""One port that speaks for every upstream."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from . import admin, gate, hiro, prices, push, registry
from .config import SimulatorConfig
from .stage import STAGE, Clock, Stage

_LOGGER = logging.getLogger("simulator")
_SHUTDOWN_S = 1.0
# Outermost first: a fault is counted as an answer, and costs a request.
_GATES = (gate.counted, gate.limited, gate.faulty, gate.refusing)


@dataclass(frozen=True, slots=True)
class Simulator:
    """A running simulator: the base URL of its port, and what it plays on.

    An upstream's base URL is `url` and its name: ``{url}/hiro``, ``{url}/kraxel``,
    ``{url}/stxtools``, ``{url}/invest``, ``{url}/tokens``; ``{url}/admin`` is ours.
    """

    url: str
    stage: Stage


@asynccontextmanager
async def running(
    config: SimulatorConfig,
    *,
    clock: Clock = time.time,  # noqa: TID251 - the border: all else is told the time
) -> AsyncIterator[Simulator]:
    """Serve until the context is left; port 0 takes a free one.

    `clock` gives unix seconds, for the moments that upstreams put into their answers.
    """
    stage = Stage(config, clock)
    runner = web.AppRunner(
        _application(stage),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=_SHUTDOWN_S,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, config.host, config.port).start()
        port = runner.addresses[0][1]
        async with asyncio.TaskGroup() as group:
            ticker = group.create_task(_tick_on(stage), name="simulator ticks")
            yield Simulator(_url(config.host, port), stage)
            ticker.cancel()
    except BaseExceptionGroup as group_of_one:
        # Who runs us sees what went wrong in their block as they raised it.
        match group_of_one.exceptions:
            case (alone,):
                raise alone from None
            case _:
                raise
    finally:
        stage.stopping.set()
        await runner.cleanup()


async def serve(config: SimulatorConfig) -> None:
    """Serve until cancelled, and say where."""
    async with running(config) as simulator:
        started = {
            "url": simulator.url,
            "seed": config.seed,
            "tokens": config.tokens,
            "subnets": config.subnets,
            "accounts": config.accounts,
        }
        _LOGGER.info("simulator started", extra=started)
        await asyncio.Event().wait()


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _application(stage: Stage) -> web.Application:
    app = web.Application(middlewares=_GATES)
    app.on_response_prepare.append(gate.tell_limits)
    app[STAGE] = stage
    for part in (hiro, push, prices, registry, admin):
        app.add_routes(part.routes())
    return app


async def _tick_on(stage: Stage) -> None:
    while stage.config.tick_s > 0:
        await asyncio.sleep(stage.config.tick_s)
        stage.advance()
