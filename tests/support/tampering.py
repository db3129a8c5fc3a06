"""Edits to a log of lists: each changes one thing that nobody may change."""

from collections.abc import Callable
from typing import Any

import orjson

from processor.core.journal import link
from schemas.base import decoder, encode
from schemas.journal import GENESIS, AnyCommit, Commit
from schemas.states import POSITION_KEY
from schemas.topics import CHANGES, JOURNAL, STATE
from tests.support.audited import SHARD, a_history
from tests.support.list_log import ListLog

Edit = Callable[[ListLog], None]
_commit = decoder(AnyCommit)


def edited(topic: str, number: int, **fields: Any) -> Edit:
    def edit(log: ListLog) -> None:
        records = log.of(topic, SHARD)
        records[number] = records[number]._replace(**fields)

    return edit


def replaced(topic: str, number: int, old: bytes, new: bytes) -> Edit:
    """Change some bytes of a value; they must be there."""

    def edit(log: ListLog) -> None:
        records = log.of(topic, SHARD)
        value = records[number].value or b""
        assert old in value, value
        records[number] = records[number]._replace(value=value.replace(old, new))

    return edit


def replaced_key(topic: str, number: int, old: bytes, new: bytes) -> Edit:
    """Change some bytes of a key."""

    def edit(log: ListLog) -> None:
        records = log.of(topic, SHARD)
        key = records[number].key or b""
        records[number] = records[number]._replace(key=key.replace(old, new))

    return edit


def written(topic: str, key: bytes, value: bytes) -> Edit:
    """Write one more record, behind all others."""

    def edit(log: ListLog) -> None:
        log.put(topic, SHARD, [(key, value, ())])

    return edit


def dropped(topic: str, number: int) -> Edit:
    def edit(log: ListLog) -> None:
        del log.of(topic, SHARD)[number]

    return edit


def swapped(topic: str, number: int) -> Edit:
    """Let two neighbours stand where the other stood."""

    def edit(log: ListLog) -> None:
        records = log.of(topic, SHARD)
        first, second = records[number : number + 2]
        records[number : number + 2] = [
            second._replace(offset=first.offset),
            first._replace(offset=second.offset),
        ]

    return edit


def inserted(topic: str, number: int) -> Edit:
    """Write a record once more, at an offset of its own."""

    def edit(log: ListLog) -> None:
        records = log.of(topic, SHARD)
        first = number % len(records)
        later = [one._replace(offset=one.offset + 1) for one in records[first:]]
        records[first + 1 :] = later

    return edit


def commits_edited(number: int, *, relink: bool, **fields: Any) -> Edit:
    """Change what a commit says; ``relink`` makes all after it fit again."""

    def edit(log: ListLog) -> None:
        records = log.of(JOURNAL, SHARD)
        previous = GENESIS
        for at, record in enumerate(records):
            said: Commit = _commit(record.value or b"")
            if at == number:
                said = said.model_copy(update=fields)
            if relink:
                said = said.model_copy(update={"previous": previous})
            previous = link(said)
            records[at] = record._replace(value=encode(said))

    return edit


def state_edited(**fields: Any) -> Edit:
    def edit(log: ListLog) -> None:
        records = log.of(STATE, SHARD)
        last = max(n for n, one in enumerate(records) if one.key == POSITION_KEY)
        said = orjson.loads(records[last].value or b"") | fields
        records[last] = records[last]._replace(value=orjson.dumps(said))

    return edit


def ranges(number: int, topic: str, **fields: Any) -> dict[str, Any]:
    """Return the ranges of a commit of the history, one of them changed."""
    said: Commit = _commit(a_history().of(JOURNAL, SHARD)[number].value or b"")
    changed = said.inputs[topic].model_copy(update=fields)
    return {"inputs": {**said.inputs, topic: changed}}


def digest(number: int, kind: str, **fields: Any) -> dict[str, Any]:
    said: Commit = _commit(a_history().of(JOURNAL, SHARD)[number].value or b"")
    return {kind: getattr(said, kind).model_copy(update=fields)}


def truncated(log: ListLog) -> None:
    """Take the last commit away, but not what it read."""
    said: Commit = _commit(log.of(JOURNAL, SHARD).pop().value or b"")
    del log.of(CHANGES, SHARD)[-said.published.count :]
