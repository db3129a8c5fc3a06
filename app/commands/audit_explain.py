"""``stacks-feed audit explain``: why a key has its value, and what came of an observation."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import orjson

from app.audits import answering, bar, opened_to_ask
from app.bootstrap import Opened
from app.commands.service import overrides
from app.configs import index_path, place_of
from app.errors import AS_DERIVED, RequestError
from app.places import File
from app.settings import Settings, read
from audit.bounds import Bound, range_of
from audit.core.cuts import parse_bound
from audit.core.difference import DifferenceFound
from audit.core.plainly import commit_facts, observation, plainly, step_facts
from audit.core.sentences import fate_in_sentences, in_sentences
from audit.core.subjects import Key, Subject, subject_in
from audit.errors import IndexWrong, WrongKey
from audit.explain import Fate, explain, fate_of
from audit.index import open_index
from audit.indexing import extend_index
from audit.journal import last_commit
from audit.picking import NEAR, NEAR_IN_A_FILE
from audit.refolding import Asked
from eventlog.partition import partition_of
from schemas.topics import partition_key

T = TypeVar("T")


class Answer(NamedTuple):
    """What was found, in lines for a person and as values for a program."""

    lines: Sequence[str]
    plain: dict[str, object]


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation; 1 where the log is not what its observations make of it."""
    with answering():
        settings = read(overrides(arguments))
        subject = subject_in(arguments.key)
        if subject is None:
            raise RequestError(f"{WrongKey(arguments.key)}")
        found = asyncio.run(_ask(settings, subject, arguments))
    if arguments.json:
        print(orjson.dumps(found.plain).decode())
    else:
        print("\n".join(found.lines))
    return AS_DERIVED


async def _ask(
    settings: Settings, subject: Subject, arguments: argparse.Namespace
) -> Answer:
    at = parse_bound(arguments.at) if arguments.at else None
    raw = bool(arguments.bytes)
    async with opened_to_ask(settings) as opened:
        shard = _shard(subject, opened)
        if not isinstance(subject, Key):
            fate = await _with_index(
                settings, opened, shard, arguments, lambda a: fate_of(a, subject)
            )
            return _fate(fate, raw=raw)
        commit = await _commit(opened, shard, at)
        found = await _with_index(
            settings,
            opened,
            shard,
            arguments,
            lambda asked: explain(asked, subject, commit=commit),
        )
        return Answer(list(in_sentences(found, raw=raw)), plainly(found))


def _shard(subject: Subject, opened: Opened) -> int:
    count = opened.identity.partitions
    if isinstance(subject, Key):
        return partition_of(partition_key(subject.key), count)
    if subject.partition >= count:
        raise RequestError(f"this log has the shards 0 to {count - 1}")
    return subject.partition


async def _commit(opened: Opened, shard: int, at: Bound) -> int:
    """Return the last commit of a shard that belongs to a moment."""
    last = (await range_of(opened.log, opened.identity, shard, None, at)).last
    if last is not None:
        return last
    newest = await last_commit(opened.log, shard)
    return newest.said.commit if newest else 0


async def _with_index(
    settings: Settings,
    opened: Opened,
    shard: int,
    arguments: argparse.Namespace,
    answer: Callable[[Asked], Awaitable[T]],
) -> T:
    """Answer by the index, and if that is wrong or finds a difference by a new one."""
    path = None if arguments.no_index else index_path(settings)
    near = NEAR_IN_A_FILE if isinstance(place_of(settings), File) else NEAR
    if path is not None:
        try:
            return await _with(path, opened, shard, near, answer)
        except (IndexWrong, DifferenceFound):
            # In memory, so that whatever else uses the file is not disturbed.
            pass
    return await _with(None, opened, shard, near, answer)


async def _with(
    path: Path | None,
    opened: Opened,
    shard: int,
    near: int,
    answer: Callable[[Asked], Awaitable[T]],
) -> T:
    with (
        open_index(path, log_id=opened.identity.id) as index,
        bar("indexing") as progress,
    ):
        await extend_index(opened.log, index, shard, progress=progress)
        return await answer(Asked(opened.log, index, shard, near=near))


def _fate(fate: Fate, *, raw: bool) -> Answer:
    said = fate.commit.said if fate.commit else None
    lines = fate_in_sentences(
        fate.observation, fate.step, said, reject=fate.reject, raw=raw
    )
    plain: dict[str, object] = {
        "observation": observation(fate.observation),
        "step": fate.step and step_facts(fate.step),
        "commit": said and {"commit": said.commit, **commit_facts(said)},
        "rejectOffset": fate.reject,
    }
    return Answer(list(lines), plain)
