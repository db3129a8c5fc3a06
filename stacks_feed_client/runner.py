"""Keeps a feed connected: does what the core says, and has no opinion."""

import asyncio
import logging
import traceback
from collections.abc import Callable
from typing import Generic

from stacks_feed_client.clock import Clock
from stacks_feed_client.core.conversation import Effects
from stacks_feed_client.core.itinerary import shown
from stacks_feed_client.core.liveness import TICK_S
from stacks_feed_client.core.machine import Lost, Machine
from stacks_feed_client.core.values import K, V
from stacks_feed_client.errors import FeedRefused
from stacks_feed_client.feed import Feed
from stacks_feed_client.link import TROUBLE, Link, LinkOptions, lost_because, opened

_logger = logging.getLogger("stacks_feed_client")


class Runner(Generic[K, V]):
    """One connection after the other, until the feed is closed or refused."""

    def __init__(
        self,
        feed: Feed[K, V],
        machine: Machine[K, V],
        options: LinkOptions,
        *,
        clock: Clock,
        draw: Callable[[], float],
    ) -> None:
        self._feed, self._machine, self._options = feed, machine, options
        self._clock, self._draw = clock, draw
        self._leave: str | None = None
        self._logged: set[str] = set()

    async def run(self) -> None:
        """Connect again and again; return when the server will not have us."""
        while True:
            self._feed.tell()
            url, lost = self._machine.url, await self._connect()
            wait_s = self._machine.lost(
                lost, now_s=self._clock.monotonic_s(), draw=self._draw()
            )
            why = self._machine.status.why or lost.why
            if wait_s is None:
                self._feed.close(FeedRefused(url, why))
                return
            _logger.info("connection lost", extra={"url": shown(url), "why": why})
            self._feed.tell()
            await self._clock.sleep(wait_s)

    async def _connect(self) -> Lost:
        try:
            async with opened(self._machine.url, self._options) as socket:
                return await self._converse(Link(socket))
        except TROUBLE as error:
            return lost_because(error)
        except Exception as error:  # noqa: BLE001 - this is the guard
            # A bug, of the library or of ours, that the answer of a server brought out:
            # it must cost this connection, not the feed.
            self._feed.counts.unusable += 1
            bug = _first(error)
            self._log_bug(bug)
            return Lost(f"the answer cannot be handled: {type(bug).__name__}")

    def _log_bug(self, error: Exception) -> None:
        """Log an exception that nobody expected, each once: it may come back for ever."""
        places = traceback.extract_tb(error.__traceback__)[-1:]
        where = [f"{each.filename}:{each.lineno}" for each in places]
        key = f"{type(error).__name__} {where}"
        if key not in self._logged:
            self._logged.add(key)
            url = shown(self._machine.url)
            _logger.error(
                "connection given up for a bug",
                extra={"url": url},
                exc_info=error,
            )

    async def _converse(self, link: Link) -> Lost:
        """Hear, say and watch until one of these ends."""
        self._leave = None
        self._do(self._machine.opened(now_s=self._clock.monotonic_s()))
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._read(link), name="read the feed"),
                group.create_task(self._write(link), name="write to the feed"),
                group.create_task(self._watch(), name="watch the feed"),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
        return self._end(link)

    def _end(self, link: Link) -> Lost:
        return link.end if self._leave is None else Lost(self._leave)

    async def _read(self, link: Link) -> None:
        async for said in link.texts():
            self._do(self._machine.received(said, now_s=self._clock.monotonic_s()))
            if self._leave is not None:
                return
            # Messages already read come without a wait: their readers must have a turn.
            await self._clock.sleep(0)

    async def _write(self, link: Link) -> None:
        while True:
            await self._feed.wanted.wait()
            self._feed.wanted.clear()
            while self._machine.has_text(now_s=self._clock.monotonic_s()):
                wait_s = self._machine.wait_s(now_s=self._clock.monotonic_s())
                if wait_s > 0:
                    await self._clock.sleep(wait_s)
                text = self._machine.next_text(now_s=self._clock.monotonic_s())
                self._feed.tell()
                if text is not None and not await link.send(text):
                    return

    async def _watch(self) -> None:
        while self._leave is None:
            await self._clock.sleep(TICK_S)
            self._do(self._machine.tick(now_s=self._clock.monotonic_s()))

    def _do(self, effects: Effects[K, V]) -> None:
        if effects.error is not None:
            self._log_bug(effects.error)
        if effects.leave is not None:
            self._leave = effects.leave
        if self._machine.has_text(now_s=self._clock.monotonic_s()):
            self._feed.wanted.set()
        self._feed.deliver(effects.updates)
        self._feed.tell()


def _first(error: Exception) -> Exception:
    """Return what a task raised, out of the group that its siblings were ended with."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
