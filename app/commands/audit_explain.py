"""``stacks-feed audit explain``: why a key has its value, and what came of an observation."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import orjson

from app.audits import answering, bar, opened_to_ask, tell_commits_ahead
from app.bootstrap import Opened
from app.commands.service import overrides
from app.configs import index_path, place_of
from app.errors import AS_DERIVED, RequestError
from app.keys import VALUES, NamesNothing, UnknownKind, nearest, pattern
from app.known_keys import known_keys, newest_records
from app.places import File
from app.rows import Rows
from app.settings import Settings, read
from audit.as_of import table_at
from audit.bounds import Bound, range_of
from audit.core.cuts import parse_bound
from audit.core.difference import DifferenceFound, shown
from audit.core.explained import Explanation
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
from schemas.ids import UserId, parse_user_id
from schemas.topics import RAW, partition_key

T = TypeVar("T")


class Answer(NamedTuple):
    """What was found, in lines for a person and as values for a program."""

    lines: Sequence[str]
    plain: dict[str, object]


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation; 1 where the log is not what its observations make of it."""
    with answering():
        settings = read(overrides(arguments))
        found = asyncio.run(_ask(settings, arguments))
    if arguments.json:
        print(orjson.dumps(found.plain).decode())
    else:
        print("\n".join(found.lines))
    return AS_DERIVED


async def _ask(settings: Settings, arguments: argparse.Namespace) -> Answer:
    at = parse_bound(arguments.at) if arguments.at else None
    raw = bool(arguments.bytes)
    async with opened_to_ask(settings) as opened:
        subject = await _subject(opened, arguments.key)
        if isinstance(subject, User):
            return await _balances(opened, subject, at)
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
        if _is_empty(found) and subject.key not in (known := await known_keys(opened)):
            raise NamesNothing(arguments.key, nearest(arguments.key, known))
        return Answer(list(in_sentences(found, raw=raw)), plainly(found))


class User(NamedTuple):
    """A user all of whose balances are asked for."""

    user_id: UserId


async def _subject(opened: Opened, text: str) -> Subject | User:
    """Read what is to be explained, in any spelling.

    Raises ``NamesNothing`` for what can be no key, and ``RequestError`` for what is one of
    a kind that is not explained.
    """
    if text.startswith(("reject:", *RAW)):
        return _explainable(text, text)
    try:
        key = pattern(text)
    except UnknownKind:
        if ":" in text:
            raise
        raise NamesNothing(text, nearest(text, await known_keys(opened))) from None
    user = parse_user_id(key.removeprefix("balance:").removesuffix(":*"))
    if user is not None and key == f"balance:{user}:*":
        return User(user)
    if subject_in(key) is None and key.startswith(VALUES) and "*" not in key:
        raise NamesNothing(text, nearest(text, await known_keys(opened)))
    return _explainable(text, key)


def _explainable(text: str, key: str) -> Subject:
    subject = subject_in(key)
    if subject is None:
        raise RequestError(f"{WrongKey(text)}")
    return subject


def _is_empty(found: Explanation) -> bool:
    """Tell whether there was neither a value nor any observation of its owner."""
    since = found.since
    return found.value is None and not (since.decided or since.silent or since.passed)


async def _balances(opened: Opened, user: User, at: Bound) -> Answer:
    """List the balances of a user after a commit of its shard."""
    shard = partition_of(user.user_id.encode(), opened.identity.partitions)
    commit = await _commit(opened, shard, at)
    prefix = f"balance:{user.user_id}:".encode()
    with bar("reading changes") as progress:
        table = await table_at(opened.log, shard, commit, progress=progress)
    held = {key: row for key, row in sorted(table.items()) if key.startswith(prefix)}
    known, rows = await newest_records(opened), Rows()
    if not held and not any(key.startswith(prefix) for key in known):
        raise NamesNothing(user.user_id, nearest(f"balance:{user.user_id}", known))
    for key, record in known.items():
        rows.learn(key, record.value)
    lines = [
        f"{user.user_id} has {len(held)} balances after commit {commit} of shard {shard}",
        *(
            f"  {key.decode()} is {rows.row(key, row.value, time_ms=0).value}"
            for key, row in held.items()
        ),
    ]
    plain: dict[str, object] = {
        "user": user.user_id,
        "shard": shard,
        "commit": commit,
        "balances": {key.decode(): shown(row.value) for key, row in held.items()},
    }
    return Answer(lines, plain)


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
        if isinstance(at, int):
            await tell_commits_ahead(opened, at, {shard: last})
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
