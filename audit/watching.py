"""One shard followed: each commit verified as it comes, and now and then a snapshot."""

import asyncio
import logging
from collections.abc import Mapping
from uuid import uuid4

from audit.commits import Commits, check_held, oldest_needed, open_commits
from audit.config import WatchConfig
from audit.core.appended import AppendTimes
from audit.core.commits import CommitRead
from audit.core.difference import DifferenceFound
from audit.core.pace import Mark, is_due
from audit.core.snapshots import Damaged, can_start
from audit.core.table import Standing, new_standing
from audit.core.verify import Verifier
from audit.declaring import declare, lost_until_ms
from audit.errors import HistoryGone
from audit.journal import last_commit
from audit.snapshots import load, snapshots, write_snapshot
from eventlog.port import EventLog, LogUnavailable, Partition
from eventlog.sharing import Notice
from runtime import metrics
from runtime.clock import Clock
from runtime.trouble import Trouble
from schemas.topics import CHANGES, JOURNAL

logger = logging.getLogger(__name__)


class Watching:
    """Follows one shard from its last intact snapshot on."""

    def __init__(
        self,
        log: EventLog,
        shard: int,
        *,
        config: WatchConfig,
        clock: Clock,
        notice: Notice = lambda _: None,
    ) -> None:
        self._log, self._shard = log, shard
        self._config, self._clock, self._notice = config, clock, notice
        self._places: Mapping[str, int] | None = None
        self._verifier: Verifier | None = None
        self._oldest: Mapping[str, int] = {}
        self._times = AppendTimes(shard, at_once=log.one_time_a_commit)
        self._last: Mark | None = None
        self._failures = 0
        self._trouble = Trouble(
            logger,
            "audit waits for the log",
            "audit has the log again",
            monotonic_s=clock.monotonic_s,
        )

    @property
    def commit(self) -> int:
        """The last commit that was found right."""
        return self._verifier.commit if self._verifier else 0

    async def run(self) -> None:
        """Verify until cancelled.

        Trouble with the log is waited out. Raises ``DifferenceFound``, and what an
        operator must see to: ``HistoryGone``, ``UnknownGeneration``, ``OffsetOutOfRange``
        where retention has passed it.
        """
        trouble = self._trouble
        while True:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._tell())
                    await self._follow()
            except* LogUnavailable as error:
                self._notice(f"the log is not available: {error.exceptions[0]}")
                trouble.happened(shard=self._shard, error=f"{error.exceptions[0]}")
            config = self._config
            wait_s = min(config.backoff_s * 2**self._failures, config.max_backoff_s)
            self._failures = min(self._failures + 1, 16)
            await self._clock.sleep(wait_s)

    async def _follow(self) -> None:
        while True:
            try:
                await self._follow_on()
            except HistoryGone as error:
                await self._declare(error)

    async def _declare(self, gone: HistoryGone) -> None:
        """Begin at a declared point, if the operator has accepted what is gone."""
        at, accepted_ms = Partition(gone.topic, gone.shard), self._config.lost_before_ms
        if accepted_ms is None or await lost_until_ms(self._log, at) > accepted_ms:
            raise gone
        self._notice("declaring a point to begin at")
        found = await declare(self._log, self._shard, new_verifier=self._new_verifier)
        if found is None:
            raise gone
        commit = found.header.commit
        self._warn("history declared", commit, f"{gone.topic} begins at {gone.oldest}")
        self._places = found.places
        self._take_over(found.standing)

    async def _follow_on(self) -> None:
        verifier = self._verifier
        if verifier is None:
            self._notice("looking for a snapshot")
            verifier = self._take_over(await self._newest())
        self._notice(None)
        self._trouble.over()
        async with open_commits(
            self._log,
            self._shard,
            start=self._places,
            settle_s=self._config.settle_s,
        ) as commits:
            while True:
                read = await commits.next(wait_s=self._config.wait_s)
                if read is not None:
                    await self._verify(verifier, read, commits)
                # A long history must not keep all else from its turn.
                await asyncio.sleep(0)

    def _take_over(self, standing: Standing) -> Verifier:
        """Go on from what a shard holds."""
        position = standing.state.position
        if position.commit:
            self._last = Mark(position.log_time, standing.observations)
        logger.info(
            "audit begins", extra={"shard": self._shard, "commit": position.commit}
        )
        self._verifier = self._new_verifier(standing)
        return self._verifier

    def _new_verifier(self, standing: Standing) -> Verifier:
        config = self._config
        return Verifier(
            standing,
            config.generations,
            accepted=config.accepted,
            identity=config.identity,
        )

    async def _newest(self) -> Standing:
        oldest = self._oldest = await oldest_needed(self._log, self._shard)
        for found in await snapshots(self._log, self._shard):
            if can_start(found.header, oldest):
                try:
                    standing = await load(self._log, found)
                except Damaged as error:
                    self._warn("snapshot damaged", found.header.commit, f"{error}")
                    continue
                self._places = found.header.places
                return standing
        for topic in (JOURNAL, CHANGES):
            if oldest[topic]:
                raise HistoryGone(topic, self._shard, oldest=oldest[topic])
        return new_standing(self._shard)

    def _warn(self, event: str, commit: int, why: str) -> None:
        extra = {"shard": self._shard, "commit": commit, "error": why}
        logger.warning(event, extra=extra)

    async def _verify(
        self, verifier: Verifier, read: CommitRead, commits: Commits
    ) -> None:
        check_held(read.said, self._oldest, shard=self._shard)
        try:
            verifier.check(read)
            self._times.check(read)
        except DifferenceFound as error:
            metrics.AUDIT_DIFFERENCE.labels(self._shard).set(read.said.commit)
            logger.critical("difference found", extra={"difference": f"{error}"})
            raise
        standing = verifier.standing
        self._places, self._failures = commits.places, 0
        metrics.AUDIT_COMMITS.labels(self._shard).inc()
        metrics.AUDIT_LOG_TIME.labels(self._shard).set(read.said.log_time / 1_000)
        now = Mark(read.said.log_time, standing.observations)
        if self._last is None:
            self._last = Mark(read.said.log_time, 0)
        if is_due(
            self._last,
            now,
            interval_ms=self._config.snapshot_interval_ms,
            observations=self._config.snapshot_observations,
        ):
            await self._snapshot(standing, read.said.generation, self._places)
            self._last = now

    async def _snapshot(
        self, standing: Standing, generation: int, places: Mapping[str, int]
    ) -> None:
        header = await write_snapshot(
            self._log, standing, places, generation=generation, snapshot_id=uuid4().hex
        )
        extra = {
            "shard": self._shard,
            "commit": header.commit,
            "states": header.states,
            "rows": header.rows,
        }
        logger.info("snapshot written", extra=extra)

    async def _tell(self) -> None:
        """Say now and then how far the verification is behind the journal."""
        while True:
            await self._look()
            await self._clock.sleep(self._config.look_s)

    async def _look(self) -> None:
        newest = await last_commit(self._log, self._shard)
        verifier = self._verifier
        if newest is None or verifier is None:
            return
        position = verifier.standing.state.position
        commits = max(newest.said.commit - position.commit, 0)
        behind_ms = self._clock.now_ms() - position.log_time if commits else 0
        metrics.AUDIT_LAG_COMMITS.labels(self._shard).set(commits)
        metrics.AUDIT_LAG_SECONDS.labels(self._shard).set(max(behind_ms, 0) / 1_000)
