"""A cancellation that comes together with the driver's answer."""

import asyncio
from contextlib import suppress

from eventlog.kafka.errors import border, heed_cancellation
from tests.support.clock import settle


async def swallow() -> None:
    """Do as the driver does when an answer and a cancellation come at once."""
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()


async def test_the_border_heeds_what_the_driver_swallowed() -> None:
    async def ask() -> None:
        async with border("here", limit_s=20):
            await swallow()

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
