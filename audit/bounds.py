"""The commits of one shard that a question is about."""

from typing import NamedTuple

from audit.as_of import cut_at
from audit.core.cuts import Commit, Cut
from audit.errors import WrongMoment
from audit.journal import last_commit
from eventlog.port import EventLog
from schemas.log import LogIdentity

Bound = Cut | Commit | int | None


class Range(NamedTuple):
    """From commit ``first`` to ``last``, both included; ``None`` is to the end."""

    first: int
    last: int | None


async def range_of(
    log: EventLog, identity: LogIdentity, shard: int, first: Bound, last: Bound
) -> Range:
    """Return the commits of a shard between two bounds.

    A cut is a bound between commits: what is from it on comes after it. Raises
    ``WrongMoment``.
    """
    return Range(
        await _first(log, identity, shard, first),
        await _last(log, identity, shard, last),
    )


async def _first(log: EventLog, identity: LogIdentity, shard: int, bound: Bound) -> int:
    match bound:
        case None:
            return 1
        case Commit(number):
            await _check(log, shard, number)
            return number
        case Cut():
            return (await cut_at(log, identity, bound)).commits[shard] + 1
        case _:
            found = await last_commit(log, shard, lambda said: said.log_time < bound)
            return found.said.commit + 1 if found else 1


async def _last(
    log: EventLog, identity: LogIdentity, shard: int, bound: Bound
) -> int | None:
    match bound:
        case None:
            return None
        case Commit(number):
            await _check(log, shard, number)
            return number
        case Cut():
            return (await cut_at(log, identity, bound)).commits[shard]
        case _:
            found = await last_commit(log, shard, lambda said: said.log_time <= bound)
            return found.said.commit if found else 0


async def _check(log: EventLog, shard: int, number: int) -> None:
    newest = await last_commit(log, shard)
    if number > (newest.said.commit if newest else 0):
        raise WrongMoment(f"shard {shard} has no commit {number} yet")
