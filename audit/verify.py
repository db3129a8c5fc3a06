"""One shard of a log verified: read, folded again, compared, to where it ends now."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import NoReturn

from audit.commits import Commits, check_held, oldest_needed, open_commits
from audit.core.appended import AppendTimes, Early
from audit.core.difference import Difference, DifferenceFound
from audit.core.ends import LatestCheck, OwnRecordsCheck, check_left_over
from audit.core.held import StateCheck
from audit.core.snapshots import (
    Damaged,
    can_start,
    damage,
    difference_in,
    of_no_commit,
)
from audit.core.table import Standing, new_standing
from audit.core.verify import Verifier
from audit.errors import HistoryGone
from audit.journal import last_commit
from audit.snapshots import FoundSnapshot, load, snapshots
from audit.streams import open_stream
from eventlog.port import EventLog, Partition, Record
from processor.core.generations import GENERATIONS, Generations
from schemas.topics import CHANGES, JOURNAL, LATEST, RAW, REJECTS, STATE

_AT_ONCE = 5_000
# Told how many observations were verified since the last time.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class VerifyConfig:
    """What of a history is verified, and with what.

    ``first`` and ``last`` are commits; ``last`` ``None`` is to the end, and then the public
    table and the state are compared too. ``accepted`` names gaps in the raw topics that
    the operator has accepted. ``identity`` is the digest of the log's identity, with which
    commits are compared that name it; ``None``: they are not. ``settle_s`` is how long is
    waited for parts of a commit.
    """

    first: int = 1
    last: int | None = None
    generations: Generations = field(default_factory=lambda: GENERATIONS)
    accepted: frozenset[str] = frozenset()
    identity: str | None = None
    settle_s: float = 2.0


@dataclass(frozen=True, slots=True)
class ShardReport:
    """What was verified of a shard.

    Verified are the commits after ``start``, which is that of a snapshot or 0, up to
    ``last``. Where that is the end, ``waiting`` observations are not yet folded. ``later`` keys of the public table have changed since. ``snapshots`` were
    compared on the way. ``early`` are commits with append times that a clock must have
    been set back for, if nobody changed them. ``declared`` is the commit of the point that
    was declared for history before it is gone; 0: there is none.
    """

    shard: int
    start: int
    last: int
    observations: int
    waiting: int
    later: int
    snapshots: int
    difference: Difference | None = None
    early: Early | None = None
    declared: int = 0


async def verify_shard(
    log: EventLog,
    shard: int,
    *,
    config: VerifyConfig,
    progress: Progress = lambda _: None,
) -> ShardReport:
    """Verify one shard up to where it ends now; the first difference is in the report.

    Raises ``HistoryGone`` when there is nothing to start from, ``UnknownGeneration``, and
    errors of the log.
    """
    verifying = _Verifying(log, shard, config, progress)
    difference = None
    try:
        await verifying.run()
    except DifferenceFound as found:
        difference = found.difference
    return await verifying.report(difference)


class _Verifying:
    """One run over one shard."""

    def __init__(
        self, log: EventLog, shard: int, config: VerifyConfig, progress: Progress
    ) -> None:
        self._log, self._shard = log, shard
        self._config, self._progress = config, progress
        self._standing = new_standing(shard)
        self._start = self._observed = 0
        self._later = self._compared = 0
        self._snapshots: dict[int, list[FoundSnapshot]] = {}
        self._oldest: Mapping[str, int] = {}
        self._times = AppendTimes(shard, at_once=log.one_time_a_commit)

    async def run(self) -> None:
        # In this order: what was written before the journal's end is all in its commits.
        claimed = await self._log.ends(self._partitions(CHANGES, REJECTS))
        journal = await self._log.ends(self._partitions(JOURNAL))
        places = await self._begin()
        self._start = self._standing.state.position.commit
        self._observed = self._standing.observations
        verifier = Verifier(
            self._standing,
            self._config.generations,
            accepted=self._config.accepted,
            identity=self._config.identity,
        )
        async with open_commits(
            self._log, self._shard, start=places, settle_s=self._config.settle_s
        ) as commits:
            for end in journal.values():
                await self._follow(verifier, commits, end)
            if self._config.last is None:
                await self._end(commits, claimed)

    async def report(self, difference: Difference | None) -> ShardReport:
        is_whole = self._config.last is None and difference is None
        return ShardReport(
            shard=self._shard,
            start=self._start,
            last=self._standing.state.position.commit,
            observations=self._standing.observations - self._observed,
            waiting=await self._waiting() if is_whole else 0,
            later=self._later,
            snapshots=self._compared,
            difference=difference,
            early=self._times.early,
            declared=self._standing.declared,
        )

    async def _waiting(self) -> int:
        """Return how many observations are in the log that no commit has read."""
        positions = self._standing.state.position.positions
        ends = await self._log.ends(self._partitions(*RAW))
        oldest = await self._log.oldest(self._partitions(*RAW))
        return sum(
            end - max(positions.get(at.topic, 0), oldest[at])
            for at, end in ends.items()
        )

    def _partitions(self, *topics: str) -> list[Partition]:
        return [Partition(topic, self._shard) for topic in topics]

    # ---- where it begins

    async def _begin(self) -> Mapping[str, int] | None:
        """Stand where the verification begins; return the places of that, if not 0."""
        self._oldest = await oldest_needed(self._log, self._shard)
        usable: list[FoundSnapshot] = []
        for one in await snapshots(self._log, self._shard):
            if can_start(one.header, self._oldest):
                usable.append(one)
                self._snapshots.setdefault(one.header.commit, []).append(one)
        before = [one for one in usable if one.header.commit < self._config.first]
        if before:
            return await self._begin_at(before[0])
        gone = [topic for topic in (JOURNAL, CHANGES) if self._oldest[topic]]
        if gone and not usable:
            self._is_gone(gone[0])
        # The first commits may be gone with retention: begin at the oldest snapshot then.
        needs_one = usable and any(self._oldest.values())
        return await self._begin_at(usable[-1]) if needs_one else None

    def _is_gone(self, topic: str) -> NoReturn:
        raise HistoryGone(topic, self._shard, oldest=self._oldest[topic])

    async def _begin_at(self, found: FoundSnapshot) -> Mapping[str, int]:
        self._standing = await self._loaded(found)
        return found.header.places

    async def _loaded(self, found: FoundSnapshot) -> Standing:
        try:
            return await load(self._log, found)
        except Damaged as error:
            raise damage(found.header, error, offset=found.offset) from None

    # ---- commit by commit

    async def _follow(self, verifier: Verifier, commits: Commits, end: int) -> None:
        while not self._is_last(verifier.commit):
            read = await commits.next(before=end)
            if read is None:
                return
            check_held(read.said, self._oldest, shard=self._shard)
            verifier.check(read)
            self._times.check(read)
            self._progress(sum(stretch.count for stretch in read.said.inputs.values()))
            for found in self._snapshots.get(verifier.commit, ()):
                await self._compare(found, commits.places)

    def _is_last(self, commit: int) -> bool:
        last = self._config.last
        return last is not None and commit >= last

    async def _compare(self, found: FoundSnapshot, places: Mapping[str, int]) -> None:
        await self._loaded(found)
        offset = found.offset
        different = difference_in(found.header, self._standing, places, offset=offset)
        if different is not None:
            raise DifferenceFound(different)
        self._compared += 1

    # ---- where it ends

    async def _end(self, commits: Commits, claimed: Mapping[Partition, int]) -> None:
        last = self._standing.state.position.commit
        latest = LatestCheck(self._standing.table, shard=self._shard, last=last)
        own = OwnRecordsCheck(
            shard=self._shard, last=last, identity=self._config.identity
        )
        async for records in self._all_of(LATEST):
            latest.read(records)
            own.read_latest(records)
        state = StateCheck(self._standing.state)
        async for records in self._all_of(STATE):
            state.read(records)
            own.read_state(records)
        newest = await last_commit(self._log, self._shard)
        number = newest.said.commit if newest else 0
        await self._check_claims(commits, claimed, last=last, newest=number)
        latest.end(number)
        self._later = latest.later
        state.end(number)
        own.end()
        self._times.end(state.own_position)

    async def _check_claims(
        self,
        commits: Commits,
        claimed: Mapping[Partition, int],
        *,
        last: int,
        newest: int,
    ) -> None:
        """Look for outputs and snapshots that no commit claims."""
        for (topic, _), end in claimed.items():
            over = await commits.left_over(topic)
            if over is not None and over.offset < end:
                check_left_over(
                    topic, over, shard=self._shard, last=last, newest=newest
                )
        for found in chain.from_iterable(self._snapshots.values()):
            if found.header.commit > newest:
                raise of_no_commit(found.header, newest, offset=found.offset)

    async def _all_of(self, topic: str) -> AsyncIterator[list[Record]]:
        (at,) = self._partitions(topic)
        start = (await self._log.oldest([at]))[at]
        async with open_stream(self._log, at, start=start, settle_s=0.0) as stream:
            while records := await stream.take(_AT_ONCE):
                yield records
