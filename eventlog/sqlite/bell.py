"""Waking those who wait: in this handle at once, in others by datagram.

Each handle has a socket in a directory beside the file. Who has written sends the
numbers of the partitions to every socket there, and removes sockets nobody holds.
"""

import asyncio
import os
import socket
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

# Rung for news of membership; partitions are numbered from 1.
MEMBERSHIP = 0

# Above this many the datagram is empty and means: anything may have changed.
_MAX_IDS = 500
_MAX_BYTES = 4 * _MAX_IDS


class Bell:
    """Rings for the numbers that listeners wait for; made and closed on one loop."""

    def __init__(self, directory: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._listeners: list[tuple[frozenset[int], Callable[[], None]]] = []
        self._name = f"{os.getpid()}-{uuid4().hex[:12]}"
        self._directory_fd: int | None = None
        self._socket: socket.socket | None = None
        with suppress(OSError):
            self._open(directory)

    @property
    def deaf(self) -> bool:
        """Other processes cannot be heard here: look every few milliseconds."""
        return self._socket is None

    def close(self) -> None:
        """Stop hearing."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None
            with suppress(OSError):
                os.unlink(self._name, dir_fd=self._directory_fd)
        if self._directory_fd is not None:
            os.close(self._directory_fd)
            self._directory_fd = None

    @contextmanager
    def listening(
        self, numbers: Iterable[int], woken: Callable[[], None]
    ) -> Iterator[None]:
        """Call ``woken`` on the loop whenever one of ``numbers`` is rung."""
        listener = (frozenset(numbers), woken)
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def ring(self, numbers: frozenset[int]) -> None:
        """Wake every listener of ``numbers`` in every process; from any thread."""
        # The others first: once our own loop is awake, this thread waits for its turn.
        self._send_all(numbers)
        with suppress(RuntimeError):  # the loop is closed: nobody here is left to wake
            self._loop.call_soon_threadsafe(self._wake, numbers)

    def _send_all(self, numbers: frozenset[int]) -> None:
        if self._socket is None:
            return
        message = array("I", numbers if len(numbers) <= _MAX_IDS else ()).tobytes()
        with suppress(OSError):
            for name in os.listdir(self._directory_fd):  # noqa: PTH208 - by descriptor
                if name != self._name:
                    self._send(name, message)

    def _open(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self._directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            opened.settimeout(0)
            opened.bind(self._address(self._name))
            self._loop.add_reader(opened, self._hear)
        except BaseException:
            opened.close()
            raise
        self._socket = opened

    def _address(self, name: str) -> str:
        # A socket's path may have 107 bytes, a directory's any number.
        return f"/proc/self/fd/{self._directory_fd}/{name}"

    def _send(self, name: str, message: bytes) -> None:
        assert self._socket is not None, "the caller looked"  # noqa: S101
        try:
            self._socket.sendto(message, self._address(name))
        except ConnectionRefusedError:
            with suppress(OSError):
                os.unlink(name, dir_fd=self._directory_fd)
        except OSError:
            # Its queue is full, so it is woken already; or it has just gone.
            return

    def _hear(self) -> None:
        assert self._socket is not None, "the loop hears an open one"  # noqa: S101
        numbers = array("I")
        # One at a time: to look for another takes as long, and the loop calls again.
        with suppress(BlockingIOError):
            numbers.frombytes(self._socket.recv(_MAX_BYTES))
            self._wake(frozenset(numbers), everything=not numbers)

    def _wake(self, numbers: frozenset[int], *, everything: bool = False) -> None:
        for waited_for, woken in list(self._listeners):
            if everything or not waited_for.isdisjoint(numbers):
                woken()
