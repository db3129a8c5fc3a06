"""One shard's history checked commit by commit: each is folded again and compared."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import pairwise
from operator import attrgetter
from typing import Any, Final

from processor.core.batch import Batch, Output
from processor.core.generations import UNLIMITED, Generations, fold_of, log_of
from schemas.base import Malformed
from schemas.journal import CommitV2, InputRange, OutputDigest
from schemas.topics import CHANGES, JOURNAL, REJECTS

from .commits import CommitRead, LogRecord, commit_in
from .difference import Check, Difference, DifferenceFound, shown
from .table import Standing, put

NOTHING: Final = "nothing"
_said_of = attrgetter("key", "value", "headers")


class Verifier:
    """Follows one shard: what it holds after the commits that were found right.

    ``accepted`` names the gaps in the raw topics that the operator has accepted, as the
    setting of the processor does. ``identity`` is the digest of the log's identity, which
    commits from generation 2 on must name; ``None``: it is not compared.
    """

    def __init__(
        self,
        standing: Standing,
        generations: Generations,
        *,
        accepted: frozenset[str] = frozenset(),
        identity: str | None = None,
    ) -> None:
        self.standing = standing
        self._generations = generations
        self._accepted = accepted
        self._identity = identity

    @property
    def shard(self) -> int:
        """The shard that it follows."""
        return self.standing.state.shard

    @property
    def commit(self) -> int:
        """The last commit that was found right."""
        return self.standing.state.position.commit

    def check(self, read: CommitRead) -> None:
        """Derive the next commit again, compare, and stand after it.

        Raises ``DifferenceFound`` where the log holds something else, and
        ``UnknownGeneration`` where the fold that wrote it is not known.
        """
        _Checking(self, read).links()
        if self._identity is not None:
            _Checking(self, read).identity(self._identity)
        self._go_to_starts(read)
        batch = self._fold(read)
        _Checking(self, read).outcome(batch)
        batch.apply()
        newest = {key or b"": value for key, value, _ in batch.entries[CHANGES]}
        for key, value in newest.items():
            put(self.standing.table, key, value, commit=read.said.commit)
        self.standing.observations += sum(batch.read.values())

    def _go_to_starts(self, read: CommitRead) -> None:
        """Stand where each range begins, if that is where it may begin."""
        checking, state = _Checking(self, read), self.standing.state
        starts: dict[str, int] = {}
        for topic, records in read.inputs:
            position = state.position.positions.get(topic)
            start = read.said.inputs[topic].start
            gap = f"{topic}[{self.shard}]@{position}"
            if position not in {None, start} and gap not in self._accepted:
                checking.differs(Check.RANGE, topic, f"start {position}", f"{start}")
            checking.range(topic, records)
            starts[topic] = start
        state.read_on(starts)

    def _fold(self, read: CommitRead) -> Batch:
        said = read.said
        fold = fold_of(
            self._generations, said.generation, shard=self.shard, commit=said.commit
        )
        return fold(
            self.standing.state,
            list(read.inputs),
            settings=said.settings,
            limits=UNLIMITED,
            log=log_of(said),
        )


class _Checking:
    """The comparisons of one commit; each raises ``DifferenceFound``."""

    def __init__(self, verifier: Verifier, read: CommitRead) -> None:
        self._position = verifier.standing.state.position
        self._shard = verifier.shard
        self._read, self._said = read, read.said

    def differs(
        self,
        check: Check,
        topic: str,
        expected: str,
        found: str,
        **where: Any,
    ) -> None:
        """Raise what was found; ``where`` is offset, key and hint."""
        raise DifferenceFound(
            Difference(
                check, self._shard, self._said.commit, topic, expected, found, **where
            )
        )

    # ---- the journal itself

    def links(self) -> None:
        """Check that the record is the next of its chain and what the next one names."""
        said, record = self._said, self._read.record
        number = self._position.commit + 1
        self._journal(Check.COMMIT_NUMBER, f"{number}", f"{said.commit}")
        self._journal(Check.CHAIN, self._position.chain, said.previous)
        self._journal(Check.JOURNAL, f"shard {self._shard}", f"shard {said.shard}")
        self._journal(Check.JOURNAL, f"key {self._shard}", f"key {shown(record.key)}")
        self._is_named_by(self._read.following)
        if not said.inputs or len(self._read.inputs) != len(said.inputs):
            topics = ", ".join(said.inputs) or NOTHING
            self._journal(Check.RANGE, "ranges of raw topics", topics)

    def identity(self, expected: str) -> None:
        """Check that the record, if it names a log, names the one that it stands in."""
        if isinstance(self._said, CommitV2):
            hint = "the record `log:identity` was changed, or this history is of another log"
            self._journal(Check.IDENTITY, expected, self._said.log, hint=hint)

    def _is_named_by(self, following: LogRecord | None) -> None:
        """Check what the next commit says of this one: then it is as it was written."""
        after = commit_in(following) if following else None
        if after is None or isinstance(after, Malformed):
            return
        if after.commit == self._said.commit + 1:
            own = sha256(self._read.record.value or b"").hexdigest()
            hint = f"by commit {after.commit}, which follows it"
            self._journal(Check.CHAIN, after.previous, own, hint=hint)

    def _journal(
        self, check: Check, expected: str, found: str, *, hint: str = ""
    ) -> None:
        if expected != found:
            offset = self._read.record.offset
            self.differs(check, JOURNAL, expected, found, offset=offset, hint=hint)

    # ---- what it read

    def range(self, topic: str, records: Sequence[LogRecord]) -> None:
        """Check that a range has the records it counts, none of them before it."""
        said = self._said.inputs[topic]
        if len(records) != said.count:
            expected = f"{said.count} records in offsets {said.start} to {said.end - 1}"
            found = f"{len(records)}" if len(records) < said.count else "more"
            offset = _first_gap(records, said)
            self.differs(Check.RANGE, topic, expected, found, offset=offset)
        if not records or records[0].offset < said.start:
            offset = records[0].offset if records else said.start
            expected = f"the first record at {said.start} or later"
            found = f"one at {offset}" if records else NOTHING
            self.differs(Check.RANGE, topic, expected, found, offset=offset)

    # ---- what came of it

    def outcome(self, batch: Batch) -> None:
        """Check all that was derived again against all that the log holds."""
        made, said = batch.record, self._said
        different = self._first_change(batch.entries[CHANGES])
        for topic, stretch in made.inputs.items():
            if stretch != said.inputs[topic]:
                self._raw_differs(topic, stretch, different)
        if different is not None:
            raise DifferenceFound(different)
        self._rejects(batch.entries[REJECTS])
        self._digest(Check.PUBLISHED, made.published, said.published)
        self._digest(Check.REJECTED, made.rejects, said.rejects)
        self._journal(Check.LOG_TIME, f"{made.log_time}", f"{said.log_time}")
        self._journal(Check.DECISIONS, _counts(made.decisions), _counts(said.decisions))
        ((_, record, _),) = batch.entries[JOURNAL]
        self._journal(Check.JOURNAL, shown(record), shown(self._read.record.value))

    def _raw_differs(
        self, topic: str, made: InputRange, change: Difference | None
    ) -> None:
        said = self._said.inputs[topic]
        hint = "nothing that it published is another"
        if change is not None:
            hint = f"the first change that is another: {change.topic} at {change.offset}, {change.key}"
        self.differs(
            Check.RAW,
            topic,
            f"{said.sha256} over {said.count} records in offsets "
            f"{said.start} to {said.end - 1}",
            f"{made.sha256} over {made.count} to {made.end - 1}",
            offset=said.start,
            hint=hint,
        )

    def _first_change(self, expected: Sequence[Output]) -> Difference | None:
        return self._first_output(Check.CHANGES, CHANGES, expected, self._read.changes)

    def _rejects(self, expected: Sequence[Output]) -> None:
        found = self._read.rejects
        if not self._read.rejects_whole:
            # Retention has dropped the first ones.
            expected = expected[len(expected) - len(found) :]
        different = self._first_output(Check.REJECTS, REJECTS, expected, found)
        if different is not None:
            raise DifferenceFound(different)

    def _first_output(
        self,
        check: Check,
        topic: str,
        expected: Sequence[Output],
        found: Sequence[LogRecord],
    ) -> Difference | None:
        """Return the first record that is not what it must be, in order and content."""
        if list(map(_said_of, found)) == expected:
            # Nearly always: then there is no first one to look for.
            return None
        for (key, value, headers), record in zip(expected, found, strict=False):
            if record.value != value or record.key != key:
                said = _output(key, value), _output(record.key, record.value)
                return self._output_differs(check, topic, said, key, record)
            if list(record.headers) != list(headers):
                said = f"headers {headers}", f"headers {record.headers}"
                return self._output_differs(check, topic, said, key, record)
        common = min(len(expected), len(found))
        if common < len(expected):
            key, value, _ = expected[common]
            said = _output(key, value), NOTHING
            return self._output_differs(check, topic, said, key, None)
        if common < len(found):
            record = found[common]
            said = NOTHING, _output(record.key, record.value)
            return self._output_differs(check, topic, said, record.key, record)
        return None

    def _output_differs(
        self,
        check: Check,
        topic: str,
        said: tuple[str, str],
        key: bytes | None,
        record: LogRecord | None,
    ) -> Difference:
        return Difference(
            check,
            self._shard,
            self._said.commit,
            topic,
            *said,
            offset=record.offset if record else None,
            key=shown(key),
        )

    def _digest(self, check: Check, made: OutputDigest, said: OutputDigest) -> None:
        self._journal(
            check, f"{made.sha256} of {made.count}", f"{said.sha256} of {said.count}"
        )


def _first_gap(records: Sequence[LogRecord], said: InputRange) -> int:
    """Return the first offset at which a record is missing, as far as one can see."""
    first = [said.start - 1, *(record.offset for record in records), said.end]
    gaps = (before + 1 for before, after in pairwise(first) if after > before + 1)
    return next(gaps, said.start)


def _counts(decisions: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(decisions.items()))


def _output(key: bytes | None, value: bytes | None) -> str:
    return f"{shown(key)} = {shown(value)}"
