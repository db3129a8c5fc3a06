"""The process tree: the dead are restarted with backoff, all are stopped together."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.children import (
    ASK_AGAIN_S,
    FIRST_DELAY_S,
    LONGEST_DELAY_S,
    MISSES_KILLED,
    REMIND_S,
    Child,
    restart_delay_s,
    run_children,
)
from app.errors import OperatorError
from tests.support.clock import ManualClock, settle
from tests.support.processes import is_alive, until

BRIEF = "import sys; open(sys.argv[1], 'a').write('x'); sys.exit(3)"
STEADY = """
import os, sys, signal
if sys.argv[2:]: signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1] + '.new', 'w').write(str(os.getpid()))
os.rename(sys.argv[1] + '.new', sys.argv[1])
sys.stdin.read()
"""


def a_child(code: str, *arguments: object) -> Child:
    command = (sys.executable, "-c", code, *map(str, arguments))
    return Child("child", command, {"SECRET": "hunter2"})


@asynccontextmanager
async def tree(children: Sequence[Child], clock: ManualClock) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        running = run_children(children, clock=clock, stop_limit_s=0.5)
        task = group.create_task(running, name="tree")
        yield
        task.cancel()


def test_the_delay_doubles_up_to_a_limit() -> None:
    assert [restart_delay_s(n) for n in (1, 2, 3)] == [0.2, 0.4, 0.8]
    assert restart_delay_s(100) == LONGEST_DELAY_S


def test_the_environment_of_a_child_is_in_no_text() -> None:
    assert "hunter2" not in repr(a_child(BRIEF))


async def test_a_child_that_ends_is_reported_and_started_again_later_each_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock, trace = ManualClock(), tmp_path / "trace"
    async with tree([a_child(BRIEF, trace)], clock):
        for runs, delay_s in enumerate((0.2, 0.4), start=1):
            await clock.until_asleep()
            assert trace.read_text() == "x" * runs
            await clock.advance(delay_s)
        await clock.until_asleep()
    deaths = [r.__dict__ for r in caplog.records if r.message == "service died"]
    assert [death["restart_in_s"] for death in deaths] == [0.2, 0.4, 0.8]
    assert [death["exit_code"] for death in deaths] == [3, 3, 3]


async def test_a_child_that_lived_long_is_started_again_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, trace = ManualClock(), tmp_path / "pid"
    async with tree([a_child(STEADY, trace)], clock):
        for _ in range(2):
            await until("the child starts", trace.exists)
            await clock.advance(100)
            _kill(trace)
            await clock.until_asleep()
            await clock.advance(0.2)
        await until("the child starts", trace.exists)
    deaths = [r.__dict__ for r in caplog.records if r.message == "service died"]
    assert [death["restart_in_s"] for death in deaths] == [0.2, 0.2]
    assert {death["exit_code"] for death in deaths} == {-signal.SIGKILL}


def _kill(trace: Path) -> None:

    pid = int(trace.read_text())
    trace.unlink()
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("stubborn", [(), ("stubborn",)], ids=["willing", "stubborn"])
async def test_stopping_ends_every_child_by_force_if_it_must(
    tmp_path: Path, stubborn: tuple[str, ...]
) -> None:
    traces = [tmp_path / name for name in "ab"]
    children = [a_child(STEADY, trace, *stubborn) for trace in traces]
    async with tree(children, ManualClock()):
        for trace in traces:
            await until("the child starts", trace.exists)
        pids = [int(trace.read_text()) for trace in traces]
    assert not any(is_alive(pid) for pid in pids)


async def test_a_child_that_gives_up_is_not_started_again_and_keeps_nobody_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, trace, other = ManualClock(), tmp_path / "trace", tmp_path / "pid"
    gives_up = replace(a_child(BRIEF, trace), gives_up=3)
    async with tree([gives_up, a_child(STEADY, other)], clock):
        await until("the other starts", other.exists)
        await clock.until_asleep()
        await clock.advance(REMIND_S)
        assert is_alive(int(other.read_text()))
    assert trace.read_text() == "x"
    said = [r for r in caplog.records if r.levelno == logging.CRITICAL]
    assert [r.__dict__["gave_up"] for r in said] == ["child", "child"]


async def test_a_child_that_was_told_to_stop_is_started_again_without_having_died(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock, trace = ManualClock(), tmp_path / "trace"
    willing = a_child(BRIEF.replace("exit(3)", "exit(0)"), trace)
    async with tree([willing], clock):
        for runs in range(1, 4):
            await clock.until_asleep()
            assert trace.read_text() == "x" * runs
            await clock.advance(FIRST_DELAY_S)
        await clock.until_asleep()
    said = [r.message for r in caplog.records]
    assert said.count("service stopped") == 4
    assert "service died" not in said


_USUAL = frozenset(("service started", "service answers"))


class Asked:
    """Answers for a child, as often as it is asked."""

    def __init__(self, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
        self._clock, self._caplog = clock, caplog
        self.lives, self._count = False, 0
        caplog.set_level(logging.INFO, "app.children")

    async def answers(self) -> bool:
        self._count += 1
        return self.lives

    async def again(self, times: int, *, lives: bool) -> None:
        self.lives = lives
        for number in range(self._count + 1, self._count + 1 + times):
            await self._clock.until_asleep(1)
            await self._clock.advance(ASK_AGAIN_S)
            await until("asked again", partial(self._was_asked, number))
        await settle()

    def _was_asked(self, number: int) -> bool:
        return self._count >= number

    def said(self) -> list[str]:
        texts = [record.getMessage() for record in self._caplog.records]
        return [each for each in texts if each not in _USUAL]


async def test_a_child_that_hangs_is_reported_then_killed_and_started_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, pid = ManualClock(), tmp_path / "pid"
    asked = Asked(clock, caplog)
    child = replace(a_child(STEADY, pid), answers=asked.answers)
    async with tree([child], clock):
        await until("it runs", pid.exists)
        first = int(pid.read_text())
        await asked.again(2 * MISSES_KILLED, lives=False)  # it has not begun to answer
        await asked.again(1, lives=True)
        assert asked.said() == []
        os.kill(first, signal.SIGSTOP)
        await asked.again(MISSES_KILLED, lives=False)
        await until("it is killed", lambda: len(asked.said()) == 3)
        assert asked.said() == [
            "service does not answer",
            "service killed: it hangs",
            "service died",
        ]
        await clock.until_asleep(1)
        await clock.advance(FIRST_DELAY_S)
        await until("another runs", lambda: int(pid.read_text()) != first)
        assert not is_alive(first)


async def test_a_child_that_answers_again_in_time_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, pid = ManualClock(), tmp_path / "pid"
    asked = Asked(clock, caplog)
    child = replace(a_child(STEADY, pid), answers=asked.answers)
    async with tree([child], clock):
        await until("it runs", pid.exists)
        await asked.again(1, lives=True)
        for _ in range(3):
            await asked.again(1, lives=False)  # once is nothing
            await asked.again(1, lives=True)
        assert asked.said() == []
        for _ in range(2):
            await asked.again(MISSES_KILLED - 1, lives=False)
            await asked.again(1, lives=True)
        assert asked.said() == ["service does not answer", "service answers again"] * 2
        assert is_alive(int(pid.read_text()))


async def test_a_child_that_dies_too_often_stops_all_and_says_so(
    tmp_path: Path,
) -> None:
    clock, trace, other = ManualClock(), tmp_path / "trace", tmp_path / "pid"
    dying = replace(a_child(BRIEF, trace), most_deaths=2)
    with pytest.RaisesGroup(
        pytest.RaisesExc(OperatorError, match="child died 2 times in a row")
    ):
        async with asyncio.TaskGroup() as group:
            children = [dying, a_child(STEADY, other)]
            group.create_task(_unwrapped(run_children(children, clock=clock)))
            await until("the other starts", other.exists)
            await clock.until_asleep()
            await clock.advance(0.2)
    assert trace.read_text() == "xx"
    assert not is_alive(int(other.read_text()))


async def _unwrapped(tree: Coroutine[Any, Any, None]) -> None:
    try:
        await tree
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


async def test_a_second_cancellation_kills_who_takes_long_to_stop(
    tmp_path: Path,
) -> None:
    trace = tmp_path / "pid"
    slow = replace(a_child(STEADY, trace, "stubborn"), stop_limit_s=3_600.0)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run_children([slow], clock=ManualClock()))
        await until("the child starts", trace.exists)
        for _ in range(2):
            task.cancel()
            await settle()
        await asyncio.wait([task])
    assert not is_alive(int(trace.read_text()))
