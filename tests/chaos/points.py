"""Moments at which a processor stops or kills itself, once a file says so.

A signal from outside comes at any moment; these come at the one that a test is about.
"""

import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eventlog.kafka import producers
from eventlog.kafka import writer as kafka_writer
from eventlog.kafka.writer import KafkaShardWriter
from eventlog.port import Entry
from eventlog.sqlite.writer import SqliteShardWriter
from schemas.states import POSITION_KEY
from schemas.topics import JOURNAL, STATE

Entries = Mapping[str, Sequence[Entry]]
Commit = Callable[[Any, Entries], Awaitable[None]]


def replace(where: Any, name: str, value: object) -> None:
    """Put something in the place of a function or a method."""
    assert hasattr(where, name), f"{where} has no {name}"
    setattr(where, name, value)


def stop_before_commit(armed: Path) -> None:
    """SIGSTOP with a commit folded and nothing of it handed to the log."""

    def wrapped(commit: Commit) -> Commit:
        async def stop_first(writer: Any, entries: Entries) -> None:
            if _is_of_a_fold(entries):
                _signal_once(armed, signal.SIGSTOP)
            await commit(writer, entries)

        return stop_first

    _wrap_commits(wrapped)


def stop_in_transaction(armed: Path) -> None:
    """SIGSTOP with every record acknowledged and the transaction open (Kafka alone)."""
    answers = producers.answers

    async def then_stop(sent: Any) -> tuple[int, ...]:
        firsts = await answers(sent)
        if len(sent) > 1:  # a barrier or a watermark is one batch
            _signal_once(armed, signal.SIGSTOP)
        return firsts

    replace(kafka_writer, "answers", then_stop)


def kill_after_commit(armed: Path) -> None:
    """SIGKILL with a commit made and nobody told.

    It must have begun after the arming, and where a mutant makes two of one it must be
    the first: what an earlier one left to do is nothing to die of.
    """
    half_done: set[Any] = set()

    def begins(writer: Any, entries: Entries) -> bool:
        if not _is_of_a_fold(entries):
            return False
        if _is_whole(entries):
            return True
        half_done.symmetric_difference_update({writer})
        return writer in half_done

    def is_deadly(writer: Any, entries: Entries) -> bool:
        return begins(writer, entries) and armed.exists()

    def wrapped(commit: Commit) -> Commit:
        async def kill_then(writer: Any, entries: Entries) -> None:
            is_last = is_deadly(writer, entries)
            await commit(writer, entries)
            if is_last:
                _signal_once(armed, signal.SIGKILL)

        return kill_then

    _wrap_commits(wrapped)


POINTS: Mapping[str, Callable[[Path], None]] = {
    "stop-before-commit": stop_before_commit,
    "stop-in-transaction": stop_in_transaction,
    "kill-after-commit": kill_after_commit,
}


def _wrap_commits(wrapped: Callable[[Commit], Commit]) -> None:
    for writer in (KafkaShardWriter, SqliteShardWriter):
        replace(writer, "commit", wrapped(writer.commit))


def _is_of_a_fold(entries: Entries) -> bool:
    """Tell a fold's commit, or a part of one, from a barrier and a watermark."""
    return bool(entries.get(JOURNAL)) or _has_position(entries)


def _is_whole(entries: Entries) -> bool:
    return bool(entries.get(JOURNAL)) and _has_position(entries)


def _has_position(entries: Entries) -> bool:
    return any(entry.key == POSITION_KEY for entry in _entries(entries, STATE))


def _entries(entries: Entries, topic: str) -> list[Entry]:
    return [Entry(*entry) for entry in entries.get(topic, ())]


def _signal_once(armed: Path, number: signal.Signals) -> None:
    if armed.exists():
        armed.unlink()
        os.kill(os.getpid(), number)
