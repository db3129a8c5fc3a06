"""``edge --workers``: several processes serve one port, and answer as one."""

import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from app.children import Child, run_children
from app.configs import instance_name, stop_s
from app.ports import check_free, free_ports, held_port
from app.settings import Settings, environment
from runtime.clock import Clock

_HERE = "127.0.0.1"
# In a row, each soon after its start: whatever it is, another start will not mend it.
MOST_DEATHS = 5
# Who is stopped has this much longer than it takes, or is ended by force.
_SPARE_S = 1.0


@asynccontextmanager
async def opened_workers(
    settings: Settings, *, clock: Clock
) -> AsyncIterator[Callable[[], Coroutine[Any, Any, None]]]:
    """Take the port and answer for all workers; give what runs them until cancelled.

    Raises ``OperatorError`` when a port cannot be had. What runs them raises one when a
    worker dies again and again, with all of them stopped.
    """
    from runtime.serving import served  # noqa: PLC0415 - only where it is needed
    from runtime.together import routes  # noqa: PLC0415

    own_ports = {
        f"worker {number}": port
        for number, port in enumerate(free_ports(_HERE, settings.workers), start=1)
    }
    answered = routes(own_ports)
    async with AsyncExitStack() as stack:
        port = stack.enter_context(
            held_port(
                settings.host, settings.port, what="edge", setting="STACKS_FEED_PORT"
            )
        )
        together_port = await stack.enter_async_context(
            served(answered, host=_HERE, port=0)
        )
        if settings.metrics_port:
            host, wanted = settings.metrics_host, settings.metrics_port
            check_free(host, wanted, what="metrics", setting="STACKS_FEED_METRICS_PORT")
            await stack.enter_async_context(served(answered, host=host, port=wanted))
        children = worker_children(
            settings, port=port, together_port=together_port, own_ports=own_ports
        )
        yield partial(run_children, children, clock=clock)


async def _answers(port: int) -> bool:
    from runtime.together import is_alive  # noqa: PLC0415 - only where it is needed

    return await is_alive(port)


def worker_children(
    settings: Settings, *, port: int, together_port: int, own_ports: Mapping[str, int]
) -> tuple[Child, ...]:
    """Return the processes to run, by name and port of their own metrics and health.

    A worker keeps its name in leases when it is started again.
    """
    shared = {
        "log": settings.log,
        "live": str(settings.live).lower(),
        "port": port,
        "workers": 1,
        "together_port": together_port,
        "metrics_host": _HERE,
    }
    instance = instance_name(settings)[:90]
    return tuple(
        Child(
            name=name,
            command=(sys.executable, "-m", "app", "edge", "--with-parent"),
            environment=environment(
                {
                    **shared,
                    "metrics_port": own_port,
                    "instance": f"{instance}-{name.replace(' ', '-')}",
                }
            ),
            most_deaths=MOST_DEATHS,
            stop_limit_s=stop_s(settings) - _SPARE_S,
            answers=partial(_answers, own_port),
        )
        for name, own_port in own_ports.items()
    )
