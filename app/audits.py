"""What the audit commands have in common: the log they open, their exit codes, progress."""

import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from rich.console import Console
from rich.progress import Progress as Bars

from app.bootstrap import Opened, open_log
from app.errors import NotAnswered, OperatorError, RequestError
from app.keys import NamesNothing
from app.settings import Settings
from app.topics import read_identity
from audit.core.cuts import NotACut
from audit.core.differing import WrongSetting
from audit.core.telling import time_text
from audit.errors import IndexUnusable, IndexWrong, WrongMoment
from audit.journal import last_commit
from eventlog.port import LogError
from runtime.clock import SystemClock
from schemas.newer import WrittenByNewer

Progress = Callable[[int], None]
# Clocks of two machines may differ by less than this.
_AHEAD_MS = 60_000
_IN_THE_WAY = (WrittenByNewer, IndexUnusable, IndexWrong)


@asynccontextmanager
async def opened_to_ask(settings: Settings) -> AsyncIterator[Opened]:
    """Open a log of whatever network and world, for reading."""
    async with open_log(settings, clock=SystemClock()) as log:
        identity = await read_identity(log)
        if identity is None:
            raise OperatorError(f"the log at {log.where} has no topics yet")
        yield Opened(log, identity)


async def tell_commits_ahead(
    opened: Opened, moment_ms: int, commits: Mapping[int, int]
) -> None:
    """Say on stderr which shards have newer commits than ``commits``, dated after now.

    ``commits`` are the last ones up to ``moment_ms``; of a moment to come nothing is said.
    Log times never step back. So after one append under a clock that was ahead, a question
    about now, or a while ago, is answered by what stood before that append.
    """
    now_ms = SystemClock().now_ms()
    if moment_ms > now_ms + _AHEAD_MS:
        return
    for shard, commit in commits.items():
        newest = await last_commit(opened.log, shard)
        if newest is None or newest.said.commit <= commit:
            continue
        if newest.said.log_time > now_ms + _AHEAD_MS:
            sys.stderr.write(
                f"stacks-feed audit: shard {shard} has commits up to {newest.said.commit}, "
                f"which the log dates up to {time_text(newest.said.log_time)}, after now (a "
                f"clock was ahead): what came after commit {commit} is not in this answer; "
                "ask for a later moment or for a cut\n"
            )


@contextmanager
def answering() -> Iterator[None]:
    """Let what keeps an audit from its answer be no answer.

    Raises ``RequestError`` (exit code 2) for what was asked wrongly, ``NamesNothing`` (1)
    for a key of nothing, and ``NotAnswered`` (exit code 3) for what is in the way.
    """
    try:
        yield
    except (NotACut, WrongMoment, WrongSetting) as error:
        raise RequestError(f"{error}") from None
    except (*_IN_THE_WAY, LogError, OSError) as error:
        raise NotAnswered(f"{error}") from error
    except NamesNothing:
        raise
    except OperatorError as error:
        if error.exit_code == RequestError.exit_code:
            raise
        raise NotAnswered(f"{error}") from error


@contextmanager
def bar(text: str, *, total: int | None = None) -> Iterator[Progress]:
    """Show progress on stderr, told in steps; nothing where that is no terminal."""
    console = Console(stderr=True)
    with Bars(console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task(text, total=total)

        def step(done: int) -> None:
            bars.advance(task, done)

        yield step
