"""The supervisor: together, in reverse, within a deadline."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from runtime import supervisor
from runtime.supervisor import Exit, Service, leaves, log_failure, supervise


class Trouble(Exception):
    """Stands for what an operator can act upon."""


def forever(
    name: str, ended: list[str], started: Callable[[], None] = lambda: None
) -> Service:
    async def run() -> None:
        try:
            started()
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    return Service(name, run)


def failing(name: str, error: Exception) -> Service:
    async def run() -> None:
        raise error

    return Service(name, run)


def signalled(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_services_in_reverse(number: int) -> None:
    ended: list[str] = []
    code = await supervise(
        [
            forever("first", ended),
            forever("second", ended),
            forever("third", ended, signalled(number)),
        ]
    )
    assert code is Exit.STOPPED
    assert ended == ["third", "second", "first"]


async def test_a_service_that_returns_is_a_failure_and_stops_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def returns() -> None: ...

    ended: list[str] = []
    code = await supervise([forever("other", ended), Service("brief", returns)])
    assert (code, ended) == (Exit.FAILED, ["other"])
    assert "service brief returned" in str(caplog.records[-1].__dict__["error"])


async def test_a_service_that_cancels_itself_is_a_failure_too() -> None:
    async def gives_up() -> None:
        raise asyncio.CancelledError

    assert await supervise([Service("odd", gives_up)]) is Exit.FAILED


async def test_operational_trouble_is_one_line_and_a_bug_has_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    group = ExceptionGroup("two", [Trouble("the log is away"), KeyError("bug")])
    report = partial(log_failure, operational=(Trouble,))
    code = await supervise([failing("edge", group)], report=report)
    assert code is Exit.FAILED
    trouble, bug = caplog.records
    assert (trouble.__dict__["error"], trouble.exc_info) == ("the log is away", None)
    assert bug.exc_info


async def test_a_service_that_will_not_stop_meets_the_deadline() -> None:
    late = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await late.wait()

    code = await supervise(
        [Service("stubborn", stubborn), failing("edge", Trouble())],
        deadline_s=0.01,
        on_deadline=late.set,
    )
    assert code is Exit.FAILED
    assert late.is_set()


async def test_cancelling_the_supervisor_stops_the_services() -> None:
    ended: list[str] = []
    started = asyncio.Event()
    service = forever("only", ended, started.set)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_ignored(supervise([service])), name="supervisor")
        await started.wait()
        task.cancel()
    assert ended == ["only"]


async def _ignored(work: Coroutine[Any, Any, Exit]) -> None:
    await work


def test_giving_up_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    with caplog.at_level(logging.CRITICAL):
        supervisor.give_up()
    assert codes == [1]
    assert caplog.messages == ["stop deadline passed"]


def test_leaves_are_the_errors_inside_nested_groups() -> None:
    inner = [Trouble("a"), Trouble("b")]
    nested = ExceptionGroup("x", [inner[0], ExceptionGroup("y", [inner[1]])])
    assert list(leaves(nested)) == inner


async def test_a_second_signal_cuts_a_farewell_short() -> None:
    told: list[str] = []

    async def polite() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()
        finally:
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                told.append("at once")
                raise

    assert await supervise([Service("polite", polite)]) is Exit.STOPPED
    assert told == ["at once"]


async def test_after_a_second_signal_nobody_is_waited_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "HURRY_S", 0.01)
    late = asyncio.Event()

    async def stubborn() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            while not late.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await late.wait()

    code = await supervise([Service("stubborn", stubborn)], on_deadline=late.set)
    assert (code, late.is_set()) == (Exit.STOPPED, True)
