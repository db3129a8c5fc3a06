"""Runs the services of a process together, and stops them in reverse."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, NamedTuple

STOP_DEADLINE_S = 5.0
# What is left for clean-up once a second signal said that nobody wants to wait.
HURRY_S = 1.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)

logger = logging.getLogger(__name__)


class Service(NamedTuple):
    """A coroutine that runs until it is cancelled."""

    name: str
    run: Callable[[], Coroutine[Any, Any, None]]


class Exit(IntEnum):
    """What the process tells whoever started it."""

    STOPPED = 0
    FAILED = 1


class ReturnedError(Exception):
    """A service ended by itself, which no service does."""

    def __init__(self, name: str) -> None:
        super().__init__(f"service {name} returned; it should run until it is stopped")


def give_up() -> None:
    """End the process at once: something would not stop within its deadline."""
    logger.critical("stop deadline passed")
    os._exit(Exit.FAILED)


def log_failure(
    name: str, error: Exception, *, operational: tuple[type[Exception], ...] = ()
) -> None:
    """Log why a service ended: in one line what is ``operational``, else a traceback.

    Operational is trouble that an operator can act upon; all else is a bug.
    """
    for leaf in leaves(error):
        known = isinstance(leaf, operational)
        logger.error(
            "service failed",
            extra={"failed": name, "error": f"{leaf}" if known else f"{leaf!r}"},
            exc_info=None if known else leaf,
        )


async def supervise(
    services: Sequence[Service],
    *,
    report: Callable[[str, Exception], None] = log_failure,
    deadline_s: float = STOP_DEADLINE_S,
    on_deadline: Callable[[], None] = give_up,
) -> Exit:
    """Start ``services`` in order and run them until a signal comes or one of them ends.

    Then they are cancelled in reverse order, each after the one before has ended; all of
    it within ``deadline_s``, else ``on_deadline`` is called. A second signal cancels what
    has not ended once more, which cuts its farewell short, and leaves it ``HURRY_S``.
    SIGTERM and SIGINT give ``STOPPED``; a service that raises or returns gives ``FAILED``, and ``report`` is told
    its name and error when all have ended.
    """
    ended, hurried = asyncio.Event(), asyncio.Event()
    failures: list[tuple[str, Exception]] = []
    with _signals(ended, hurried):
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_watched(s, ended, failures), name=s.name)
                for s in services
            ]
            try:
                await ended.wait()
            finally:
                hurrying = group.create_task(
                    _hurry(tasks, hurried, on_deadline), name="hurry"
                )
                await _stop(tasks, deadline_s=deadline_s, on_deadline=on_deadline)
                hurrying.cancel()
    for name, error in failures:
        report(name, error)
    return Exit.FAILED if failures else Exit.STOPPED


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors inside nested groups, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


@contextmanager
def _signals(stop: asyncio.Event, hurry: asyncio.Event) -> Iterator[None]:
    """Set ``stop`` at the first signal, ``hurry`` at the next."""
    loop = asyncio.get_running_loop()
    asked = False

    def stopped(number: signal.Signals) -> None:
        nonlocal asked
        logger.info("stopping", extra={"signal": number.name, "at_once": asked})
        (hurry if asked else stop).set()
        asked = True

    for number in _SIGNALS:
        loop.add_signal_handler(number, stopped, number)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def _watched(
    service: Service, ended: asyncio.Event, failures: list[tuple[str, Exception]]
) -> None:
    """Run a service; note why it ended, unless it was because others had."""
    error: Exception = ReturnedError(service.name)
    try:
        await service.run()
    except asyncio.CancelledError:
        if ended.is_set():
            return
    except Exception as raised:  # noqa: BLE001 - the one place that sees every failure
        error = raised
    failures.append((service.name, error))
    ended.set()


async def _hurry(
    tasks: Sequence[asyncio.Task[None]],
    hurried: asyncio.Event,
    on_deadline: Callable[[], None],
) -> None:
    """Cancel once more what has not ended, when told to; then wait for it no longer."""
    await hurried.wait()
    for task in tasks:
        task.cancel()
    await asyncio.sleep(HURRY_S)
    on_deadline()


async def _stop(
    tasks: Sequence[asyncio.Task[None]],
    *,
    deadline_s: float,
    on_deadline: Callable[[], None],
) -> None:
    timer = asyncio.get_running_loop().call_later(deadline_s, on_deadline)
    try:
        for task in reversed(tasks):
            task.cancel()
            await asyncio.wait([task])
    finally:
        timer.cancel()
