"""A thread with a session: SQLite's work, off the event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from .config import SqliteConfig
from .session import Session

T = TypeVar("T")

_Answer = Callable[[], None]


class Worker:
    """Runs jobs one after another on a session of its own; used from one loop.

    Not an executor: going there and back takes half the time (30 us of 60, or 150 of
    250 when the process was idle), and every wake-up and commit goes twice.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        # What waits here is bounded by the callers: each awaits its answer.
        self._jobs: SimpleQueue[Callable[[], _Answer] | None] = SimpleQueue()
        self._session: Session | None = None
        thread = Thread(target=self._work, name=f"sqlite {name}", daemon=True)
        thread.start()

    async def open(self, config: SqliteConfig) -> None:
        """Open the session; raises what opening raises."""
        await self._start(lambda: self._open(config))

    async def run(self, job: Callable[[Session], T]) -> T:
        """Run a job; one that has begun goes on when the caller is cancelled."""
        return await self.start(job)

    def start(self, job: Callable[[Session], T]) -> asyncio.Future[T]:
        """Start a job and do not wait; those given later wait for its end."""
        return self._start(lambda: job(self._opened()))

    async def close(self) -> None:
        """Finish the jobs that were given, then close the session."""
        closed = self._start(self._close)
        self._jobs.put(None)
        await asyncio.shield(closed)

    def _start(self, job: Callable[[], T]) -> asyncio.Future[T]:
        answer: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(lambda: _done(job, answer))
        return answer

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            answer = job()
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(answer)

    def _open(self, config: SqliteConfig) -> None:
        self._session = Session(config)

    def _opened(self) -> Session:
        assert self._session is not None, "a worker is handed out opened"  # noqa: S101
        return self._session

    def _close(self) -> None:
        if self._session is not None:
            self._session.close()


def _done(job: Callable[[], T], answer: asyncio.Future[T]) -> _Answer:
    """Do a job in the thread; return what the loop is to do about it."""
    if answer.cancelled():
        return _nothing
    try:
        result = job()
    except BaseException as error:  # noqa: BLE001 - the caller's, who awaits the answer
        return _unless_cancelled(answer, answer.set_exception, error)
    return _unless_cancelled(answer, answer.set_result, result)


def _unless_cancelled(
    answer: asyncio.Future[Any], give: Callable[[Any], None], what: object
) -> _Answer:
    return lambda: None if answer.done() else give(what)


def _nothing() -> None:
    """Whoever waited has gone."""


@asynccontextmanager
async def open_worker(name: str, config: SqliteConfig) -> AsyncIterator[Worker]:
    """Open a worker and close it on exit."""
    worker = Worker(name)
    try:
        await worker.open(config)
        yield worker
    finally:
        await worker.close()
