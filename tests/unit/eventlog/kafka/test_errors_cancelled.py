"""A cancellation that comes while the driver ends its own tasks."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from eventlog.kafka.consumers import stop_consumer
from eventlog.kafka.driver import close_connections
from eventlog.kafka.errors import border, heed_cancellation
from tests.support.clock import settle


class Client:
    """Has no connections."""

    def __init__(self) -> None:
        self._conns: dict[object, object] = {}

    async def close(self) -> None:
        """Close nothing."""


class Driver(Client):
    """Ends a task of its own as the driver does: whose cancellation it was, who knows."""

    async def stop(self) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    close = stop
    _fetcher = _coordinator = None
    _client = Client()


async def _in_border() -> None:
    async with border("here", limit_s=20):
        await Driver().stop()


async def _stopping() -> None:
    driver: Any = Driver()
    await stop_consumer(driver, limit_s=20)


async def _closing() -> None:
    driver: Any = Driver()
    await close_connections(driver)


@pytest.mark.parametrize("ask", [_in_border, _stopping, _closing])
async def test_a_cancellation_that_the_driver_swallowed_is_heeded(
    ask: Callable[[], Awaitable[None]],
) -> None:
    asking = asyncio.ensure_future(ask())
    await settle()
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()


async def test_what_is_asked_while_a_task_ends_is_answered() -> None:
    """Clean-up of a cancelled task may ask the broker too."""
    answered = asyncio.Event()

    async def clean_up() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            async with border("here", limit_s=20):
                await asyncio.sleep(0)
            answered.set()

    ending = asyncio.ensure_future(clean_up())
    await settle()
    ending.cancel()
    await asyncio.wait([ending])
    assert answered.is_set()


async def test_nothing_happens_to_a_task_that_nobody_cancelled() -> None:
    heed_cancellation()
    async with border("here", limit_s=20):
        await asyncio.sleep(0)
