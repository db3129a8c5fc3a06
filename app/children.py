"""The process tree of ``up``: starts children, restarts the dead, stops them all."""

import asyncio
import logging
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from app.errors import OperatorError
from runtime.clock import Clock
from runtime.supervisor import HURRY_S, Exit

STOP_LIMIT_S = 4.0
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
# Who lived this long died of something new: the next start is not delayed.
PROVEN_S = 30.0
# What a child has after a second signal; less than what its parent has then.
_HURRY_S = HURRY_S / 2
# How long after an answer a child is asked again. Unanswered questions in a row after
# which it is said to hang, and after which it is killed; each takes up to 2 s.
ASK_STARTING_S, ASK_AGAIN_S = 0.5, 3.0
MISSES_TOLD, MISSES_KILLED = 2, 6
# How often it is said that a service has given up.
REMIND_S = 600.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Child:
    """One process to keep running. Its environment may hold secrets: not in ``repr``.

    One that ends with ``gives_up`` is not started again: it has said what an operator
    must see to, and starting it again would change nothing. After ``most_deaths`` quick
    deaths in a row all children are stopped; ``None`` is never.

    It gets ``stop_limit_s`` to stop, by default that of all.

    ``answers`` asks it whether it lives. One that has answered and then does not for some
    seconds is reported, and is killed and started again if that lasts: a process that
    hangs would keep what it holds, and whoever waits for it, for ever.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    gives_up: int | None = None
    most_deaths: int | None = None
    stop_limit_s: float | None = None
    answers: Callable[[], Awaitable[bool]] | None = field(default=None, repr=False)


def restart_delay_s(deaths: int) -> float:
    """Return how long to wait before the start after ``deaths`` quick deaths in a row."""
    return min(FIRST_DELAY_S * 2.0 ** min(deaths - 1, 10), LONGEST_DELAY_S)


async def run_children(
    children: Sequence[Child], *, clock: Clock, stop_limit_s: float = STOP_LIMIT_S
) -> None:
    """Keep every child running until cancelled; then stop all of them at once.

    A child that ends, however it ends, is reported and started again, the sooner the
    longer it lived, unless it has given up: then that is said from time to time. One that
    somebody told to stop, and that did, has not died, and is started again soon.

    On cancellation each gets SIGTERM and, if it has not ended within its limit, SIGKILL;
    when cancelled again, SIGTERM again and soon SIGKILL. Raises ``OperatorError``, with all children
    stopped, when one of them has died too often.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                _keep_running(child, clock=clock, stop_limit_s=stop_limit_s),
                name=child.name,
            )
            for child in children
        ]
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            await _stopped(tasks)
            raise


async def _stopped(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel what the group has not; when cancelled here, the group cancels all again."""
    for task in tasks:
        if not task.cancelling():
            task.cancel()
    await asyncio.wait(tasks)


async def _keep_running(child: Child, *, clock: Clock, stop_limit_s: float) -> None:
    deaths = 0
    limit_s = stop_limit_s if child.stop_limit_s is None else child.stop_limit_s
    while True:
        started_s = clock.monotonic_s()
        code = await _run_once(child, clock=clock, stop_limit_s=limit_s)
        lived_s = clock.monotonic_s() - started_s
        if code == child.gives_up:
            await _remind(child, code, clock=clock)
        if code == Exit.STOPPED:
            logger.info("service stopped", extra={"stopped": child.name})
            deaths = 0
            await clock.sleep(FIRST_DELAY_S)
            continue
        deaths = 1 if lived_s >= PROVEN_S else deaths + 1
        await _mourn(child, code, deaths=deaths, lived_s=lived_s, clock=clock)


async def _mourn(
    child: Child, code: int, *, deaths: int, lived_s: float, clock: Clock
) -> None:
    """Report a death, then wait until the next start; raise when there is to be none."""
    is_last = child.most_deaths is not None and deaths >= child.most_deaths
    delay_s = restart_delay_s(deaths)
    logger.error(
        "service died",
        extra={
            "died": child.name,
            "exit_code": code,
            "lived_s": round(lived_s, 1),
            "restart_in_s": None if is_last else delay_s,
        },
    )
    if is_last:
        raise OperatorError(
            f"{child.name} died {deaths} times in a row, the last time with exit code "
            f"{code}; its log lines say why"
        )
    await clock.sleep(delay_s)


async def _remind(child: Child, code: int, *, clock: Clock) -> None:
    """Say, again and again, that a service has given up."""
    while True:
        logger.critical(
            "service gave up",
            extra={
                "gave_up": child.name,
                "exit_code": code,
                "what_to_do": "see what it said; all others go on",
            },
        )
        await clock.sleep(REMIND_S)


async def _run_once(child: Child, *, clock: Clock, stop_limit_s: float) -> int:
    """Run the child to its end; return its exit code (minus the signal's number)."""
    process = await asyncio.create_subprocess_exec(
        *child.command,
        env=dict(child.environment),
        # Held open for as long as we live: its end tells the child that we are gone.
        stdin=asyncio.subprocess.PIPE,
        # Ctrl-C in a terminal goes to us alone; we stop the children.
        start_new_session=True,
    )
    logger.info("service started", extra={"started": child.name, "pid": process.pid})
    try:
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(
                _kill_if_it_hangs(child, process, clock), name=f"ask {child.name}"
            )
            code = await process.wait()
            asking.cancel()
        return code
    finally:
        await _stop(child.name, process, limit_s=stop_limit_s)


async def _kill_if_it_hangs(child: Child, process: Process, clock: Clock) -> None:
    """Ask a child again and again whether it lives, from its first answer on.

    Questions are counted, not seconds: a machine that was suspended, or a parent that
    hung itself, blames no child for it.
    """
    if child.answers is None:
        return
    while not await child.answers():
        await clock.sleep(ASK_STARTING_S)
    logger.info("service answers", extra={"answers": child.name})
    misses = 0
    while misses < MISSES_KILLED:
        await clock.sleep(ASK_AGAIN_S)
        if not await child.answers():
            misses += 1
            if misses == MISSES_TOLD:
                extra = {"silent": child.name, "pid": process.pid}
                logger.warning("service does not answer", extra=extra)
            continue
        if misses >= MISSES_TOLD:
            logger.info("service answers again", extra={"answers": child.name})
        misses = 0
    logger.error("service killed: it hangs", extra={"killed": child.name})
    with suppress(ProcessLookupError):  # it ended just now
        process.kill()


async def _stop(name: str, process: Process, *, limit_s: float) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(limit_s):
            await process.wait()
    except TimeoutError:
        logger.warning("service killed: did not stop in time", extra={"killed": name})
    except asyncio.CancelledError:
        # Whoever hurries us hurries it too.
        process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(_HURRY_S):
                await process.wait()
        raise
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
