"""Whether what stands in the log is what must: one shard, derived once more.

The derivation is ``tests.support.oracle``, which shares no code with the processor.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from json import loads
from typing import Any, NamedTuple

from eventlog.port import Record
from schemas.states import POSITION_KEY
from schemas.topics import (
    BALANCES_RAW,
    CHANGES,
    JOURNAL,
    LATEST,
    PRICES_RAW,
    RAW,
    REJECTS,
    STATE,
    TOKENS_RAW,
)
from tests.chaos.trail import Trail, digest_of
from tests.chaos.writer import Acknowledged, crc_of
from tests.support.oracle.derive import DEFAULTS, Derived, RawRecord, derive_shard
from tests.support.oracle.journal import JournalWrong, verify_journal
from tests.support.oracle.text import canonical, sha256

_NOT_OURS = (b"watermark:", b"observed:", b"unquoted:", b"terms:", b"log:")
_MAX_FINDINGS = 20
READ = (PRICES_RAW, BALANCES_RAW, TOKENS_RAW, CHANGES, REJECTS, JOURNAL, LATEST, STATE)

# The records of each topic, of one shard.
Standing = Mapping[str, Sequence[Record]]


@dataclass
class Judgement:
    """What is wrong, counted by how; ``findings`` say it in words, not all of them."""

    lost: int = 0
    duplicated: int = 0
    out_of_order: int = 0
    divergent: int = 0
    observations: int = 0
    published: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def is_ok(self) -> bool:
        return not (self.lost or self.duplicated or self.out_of_order or self.divergent)

    def add(self, other: "Judgement") -> None:
        """Take the judgement on another shard in."""
        for name in COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.findings += other.findings

    def note(self, kind: str, count: int, what: str) -> None:
        """Count something wrong, if there is any of it."""
        if count:
            setattr(self, kind, getattr(self, kind) + count)
            if len(self.findings) < _MAX_FINDINGS:
                self.findings.append(f"{kind} {count}: {what}")


WRONG = ("lost", "duplicated", "out_of_order", "divergent")
COUNTED = (*WRONG, "observations", "published")


class Seen(NamedTuple):
    """What others know of a shard: what was acknowledged, what a reader saw."""

    acknowledged: Sequence[Acknowledged] = ()
    trails: Mapping[str, Trail] = {}


def judge(shard: int, standing: Standing, seen: Seen) -> Judgement:
    """Compare all that stands of a shard with what its raw topics lead to."""
    raw = {
        (topic, shard): [
            RawRecord(r.offset, r.time_ms, r.key, r.value) for r in standing[topic]
        ]
        for topic in RAW
    }
    derived = derive_shard(raw, shard, DEFAULTS)
    found = Judgement(
        observations=sum(map(len, raw.values())), published=len(standing[CHANGES])
    )
    _judge_acknowledged(found, standing, seen.acknowledged)
    _judge_changes(found, standing[CHANGES], derived)
    _judge_latest(found, standing[LATEST], derived)
    _judge_rejects(found, standing[REJECTS], derived)
    _judge_journal(found, shard, raw, standing)
    _judge_headers(found, standing)
    _judge_positions(found, standing)
    for topic, trail in seen.trails.items():
        _judge_trail(found, topic, trail, standing[topic], whole=topic != LATEST)
    return found


def _judge_acknowledged(
    found: Judgement, standing: Standing, acknowledged: Iterable[Acknowledged]
) -> None:
    """What was acknowledged stands where it was said to."""
    stands = {
        topic: {r.offset: crc_of(r.key, r.value) for r in standing[topic]}
        for topic in RAW
    }
    missing = [a for a in acknowledged if stands[a.topic].get(a.offset) != a.crc]
    found.note("lost", len(missing), f"acknowledged, {missing[:2]}")


def _judge_changes(
    found: Judgement, changes: Sequence[Record], derived: Derived
) -> None:
    """The values of each key, byte for byte: none missing, none twice, in order."""
    written: dict[bytes, list[bytes | None]] = {}
    for record in changes:
        written.setdefault(record.key or b"", []).append(record.value)
    expected = derived.per_key()
    for key in sorted(written.keys() | expected.keys()):
        was, must = written.get(key, []), expected.get(key, [])
        if was != must:
            _compare(found, f"changes of {key.decode()}", was, must)


def _compare(
    found: Judgement,
    what: str,
    was: Sequence[object],
    must: Sequence[object],
) -> None:
    """Count how one sequence differs from the one that it must be."""
    missing, extra = Counter(must) - Counter(was), Counter(was) - Counter(must)
    known = set(must)
    repeated = sum(count for value, count in extra.items() if value in known)
    found.note("lost", missing.total(), what)
    found.note("duplicated", repeated, what)
    found.note("divergent", extra.total() - repeated, what)
    if not missing and not extra:
        moved = sum(a != b for a, b in zip(was, must, strict=True))
        found.note("out_of_order", moved, what)


def _judge_latest(found: Judgement, latest: Iterable[Record], derived: Derived) -> None:
    """Under each key stands the last value published."""
    held = {
        record.key or b"": record.value
        for record in latest
        if not (record.key or b"").startswith(_NOT_OURS)
    }
    last = dict(derived.changes)
    wrong = [key for key in held.keys() | last.keys() if held.get(key) != last.get(key)]
    found.note("divergent", len(wrong), f"latest of {sorted(wrong)[:2]}")


def _judge_rejects(
    found: Judgement, rejects: Iterable[Record], derived: Derived
) -> None:
    """The rejects of each topic; in their order, which across topics is no one's."""
    was, must = (
        _by_origin((r.key, r.value or b"") for r in rejects),
        _by_origin(derived.rejects),
    )
    for topic in was.keys() | must.keys():
        if was.get(topic) != must.get(topic):
            what = f"rejects of {topic}"
            _compare(found, what, was.get(topic, []), must.get(topic, []))


def _by_origin(
    rejects: Iterable[tuple[bytes | None, bytes]],
) -> dict[str, list[tuple[bytes | None, bytes]]]:
    found: dict[str, list[tuple[bytes | None, bytes]]] = {}
    for key, value in rejects:
        found.setdefault(loads(value)["origin"][0], []).append((key, value))
    return found


def _judge_journal(
    found: Judgement,
    shard: int,
    raw: Mapping[tuple[str, int], Sequence[RawRecord]],
    standing: Standing,
) -> None:
    """Ranges, hashes and chain: every observation is read by exactly one commit."""
    try:
        verify_journal(
            [record.value or b"" for record in standing[JOURNAL]],
            raw,
            [(record.key, record.value) for record in standing[CHANGES]],
            [(record.key, record.value) for record in standing[REJECTS]],
            partition=shard,
            settings=DEFAULTS,
        )
    except JournalWrong as wrong:
        found.note("divergent", 1, f"journal of shard {shard}: {wrong}")


def _judge_headers(found: Judgement, standing: Standing) -> None:
    """Each change names the commit whose journal record covers it."""
    expected = [
        str(said["commit"]).encode()
        for said in _journal(standing)
        for _ in range(said["published"]["count"])
    ]
    named = [dict(record.headers).get("commit") for record in standing[CHANGES]]
    wrong = sum(a != b for a, b in zip(named, expected, strict=False))
    wrong += abs(len(named) - len(expected))
    found.note("divergent", wrong, "the commit that a change names")


def _judge_positions(found: Judgement, standing: Standing) -> None:
    """Positions only go forward, and the last is that of the last journal record."""
    positions = [
        loads(record.value or b"")
        for record in standing[STATE]
        if record.key == POSITION_KEY
    ]
    commits = [position["commit"] for position in positions]
    back = sum(a >= b for a, b in pairwise(commits))
    found.note("out_of_order", back, "positions step back")
    last: dict[str, Any] = positions[-1] if positions else {"commit": 0}
    for said in list(_journal(standing))[-1:]:
        head = sha256(canonical(said))
        ends = {topic: stretch["end"] for topic, stretch in said["inputs"].items()}
        agrees = (last["commit"], last.get("chain")) == (said["commit"], head)
        agrees = agrees and ends.items() <= last["positions"].items()
        found.note("divergent", int(not agrees), "the last position and the journal")


def _journal(standing: Standing) -> Iterator[dict[str, Any]]:
    for record in standing[JOURNAL]:
        yield loads(record.value or b"")


def _judge_trail(
    found: Judgement,
    topic: str,
    trail: Trail,
    standing: Iterable[Record],
    *,
    whole: bool,
) -> None:
    """What was seen is what stands: nothing was visible that is gone, or came between.

    Of a compacted topic what stands is among what was seen.
    """
    offsets = trail.offsets
    back = sum(a >= b for a, b in pairwise(offsets))
    found.note("out_of_order", back, f"seen of {topic}")
    seen = dict(trail)
    stands = {r.offset: digest_of(r.key, r.value, r.headers) for r in standing}
    unseen = [at for at, digest in stands.items() if seen.get(at) != digest]
    found.note("divergent", len(unseen), f"{topic} differs from what was seen")
    gone = [at for at in seen if at not in stands] if whole else []
    found.note("divergent", len(gone), f"{topic} showed what is gone, {gone[:2]}")
