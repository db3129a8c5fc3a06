"""A thread with a session: SQLite's work, off the event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from .config import SqliteConfig
from .session import Session

T = TypeVar("T")


class Worker:
    """Runs jobs one after another on a session of its own."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"sqlite {name}")
        self._session: Session | None = None

    async def open(self, config: SqliteConfig) -> None:
        """Open the session; raises what opening raises."""
        await self._run(lambda: self._open(config))

    async def run(self, job: Callable[[Session], T]) -> T:
        """Run a job; one that has begun goes on when the caller is cancelled."""
        return await self._run(lambda: job(self._opened()))

    def start(self, job: Callable[[Session], T]) -> "Future[T]":
        """Start a long job; those given later wait for its end."""
        return self._thread.submit(lambda: job(self._opened()))

    async def close(self) -> None:
        """Finish the job that runs, then close the session."""
        closed = self._thread.submit(self._close)
        self._thread.shutdown(wait=False)
        await asyncio.shield(asyncio.wrap_future(closed))

    async def _run(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)

    def _open(self, config: SqliteConfig) -> None:
        self._session = Session(config)

    def _opened(self) -> Session:
        assert self._session is not None, "a worker is handed out opened"  # noqa: S101
        return self._session

    def _close(self) -> None:
        if self._session is not None:
            self._session.close()


@asynccontextmanager
async def open_worker(name: str, config: SqliteConfig) -> AsyncIterator[Worker]:
    """Open a worker and close it on exit."""
    worker = Worker(name)
    try:
        await worker.open(config)
        yield worker
    finally:
        await worker.close()
