"""The head of a log: how far it goes, and what all of that hashes to.

A head is small enough to be kept anywhere, and a log that was rewritten does not contain it,
however well it proves itself. As text it is one line::

    head/1 cut:01234567:4,9 identity:HASH HASH,HASH

with the cut, the SHA-256 of the canonical bytes of the record ``log:identity``, and for each
shard of the cut the SHA-256 of the value of its last journal record (what the next record
names as ``previous``; 64 zeros before the first). In JSON it is an object with the same
words. The first word names the form: others may follow, and one that this program does not
know is refused.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from schemas.base import encode
from schemas.log import LogIdentity

from .cuts import Cut, NotACut, cut_of, parse_moment

FORM = "head/1"
_HASH = re.compile("[0-9a-f]{64}")
_LINE = re.compile(rf"{FORM} (cut:\S+) identity:([0-9a-f]{{64}}) ([0-9a-f,]+)")


class NotAHead(ValueError):
    """A text is no head of a log in a form that this program knows."""

    def __init__(self, text: str) -> None:
        short = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        super().__init__(
            f"{short!r} is no head of a log; give what `stacks-feed audit head` printed"
        )


_SHOWN = 60
_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Head:
    """How far a log goes: the cut, the hash of its identity, and each shard's chain."""

    cut: Cut
    identity: str
    chains: tuple[str, ...]

    def __str__(self) -> str:
        """Say it in one line, as ``heads_in`` reads it."""
        return f"{FORM} {self.cut} identity:{self.identity} {','.join(self.chains)}"

    def plain(self) -> dict[str, Any]:
        """Return it for a program, as ``heads_in`` reads it from JSON."""
        pairs = enumerate(zip(self.cut.commits, self.chains, strict=True))
        return {
            "schema": FORM,
            "cut": f"{self.cut}",
            "identity": self.identity,
            "shards": [
                {"shard": shard, "commit": commit, "chain": link}
                for shard, (commit, link) in pairs
            ],
        }


def digest_of(identity: LogIdentity) -> str:
    """Return the hash of a log's identity, as a head names it."""
    return sha256(encode(identity)).hexdigest()


def head_of(identity: LogIdentity, shards: Sequence[tuple[int, str]]) -> Head:
    """Return the head of a log from the last commit and the chain of each shard."""
    commits, chains = zip(*shards, strict=True)
    return Head(cut_of(identity.id, commits), digest_of(identity), chains)


def heads_in(text: str) -> list[Head]:
    """Return the heads in a text, one a line; lines that begin with ``#`` are comments.

    A byte order mark is passed over. Raises ``NotAHead`` for anything else, also where there is none.
    """
    # Editors put a byte order mark in front, and files are put together.
    lines = [line.strip().removeprefix(_BOM).strip() for line in text.splitlines()]
    heads = [_head(line) for line in lines if line and not line.startswith("#")]
    if not heads:
        raise NotAHead(text.strip())
    return heads


def _head(line: str) -> Head:
    try:
        return _whole(_plain_head(line) if line.startswith("{") else _line_head(line))
    except (KeyError, TypeError, ValueError):
        raise NotAHead(line) from None


def _whole(head: Head) -> Head:
    are_hashes = all(_HASH.fullmatch(each) for each in (head.identity, *head.chains))
    if not are_hashes or len(head.cut.commits) != len(head.chains):
        raise NotAHead(f"{head}")
    return head


def _line_head(line: str) -> Head:
    match = _LINE.fullmatch(line)
    if match is None:
        raise NotAHead(line)
    return Head(_cut(match[1]), match[2], tuple(match[3].split(",")))


def _plain_head(line: str) -> Head:
    said: Mapping[str, Any] = orjson.loads(line)
    if said["schema"] != FORM:
        raise NotAHead(line)
    head = Head(
        _cut(said["cut"]),
        said["identity"],
        tuple(shard["chain"] for shard in said["shards"]),
    )
    if head.plain() != said:
        raise NotAHead(line)
    return head


def _cut(text: str) -> Cut:
    moment = parse_moment(text)
    if not isinstance(moment, Cut):
        raise NotACut(text)
    return moment


@dataclass(frozen=True, slots=True)
class Link:
    """The hash that a log has for one commit of a shard, to compare with that in a head.

    ``chain`` is ``None`` if the log does not hold the commit. If ``last``, its last commit,
    is before ``commit``, the log is too short; else retention has dropped the commit.
    """

    commit: int
    chain: str | None
    last: int


@dataclass(frozen=True, slots=True)
class Compared:
    """A log beside a head: how it ``differs``, and what the log no longer tells.

    The log contains the head where both are empty.
    """

    head: Head
    differs: tuple[str, ...]
    gone: tuple[str, ...] = ()

    @property
    def is_contained(self) -> bool:
        """Whether the log has everything that the head stands for."""
        return not self.differs and not self.gone


def other_log(head: Head, identity: LogIdentity) -> list[str]:
    """Return why a head is not of the log with an identity; nothing if it is."""
    log_id = cut_of(identity.id, ()).log_id
    if head.cut.log_id != log_id:
        return [f"the head is of log {head.cut.log_id}, this one is {log_id}"]
    if len(head.cut.commits) != identity.partitions:
        count = len(head.cut.commits)
        return [f"the head is of {count} shards, this log has {identity.partitions}"]
    if head.identity != digest_of(identity):
        return ["the identity of the log (`log:identity`) is not what it was"]
    return []


def compare(head: Head, links: Sequence[Link]) -> Compared:
    """Compare a head with what the log holds of each of its shards."""
    differs: list[str] = []
    gone: list[str] = []
    for shard, (chain, link) in enumerate(zip(head.chains, links, strict=True)):
        if link.chain is None and link.last < link.commit:
            differs.append(
                f"shard {shard} ends with commit {link.last}, the head has {link.commit}"
            )
        elif link.chain is None:
            gone.append(
                f"shard {shard} no longer holds commit {link.commit}: retention has "
                "dropped it"
            )
        elif link.chain != chain:
            differs.append(
                f"commit {link.commit} of shard {shard} has the hash {link.chain}, "
                f"the head says {chain}"
            )
    return Compared(head, tuple(differs), tuple(gone))
