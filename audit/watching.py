"""One shard followed: each commit verified as it comes, and now and then a snapshot."""

import asyncio
import logging
from collections.abc import Mapping
from uuid import uuid4

from audit.commits import Commits, oldest_needed, open_commits
from audit.config import WatchConfig
from audit.core.appended import AppendTimes
from audit.core.commits import CommitRead
from audit.core.difference import DifferenceFound
from audit.core.pace import Mark, is_due
from audit.core.snapshots import Damaged, can_start
from audit.core.table import Standing, new_standing
from audit.core.verify import Verifier
from audit.errors import HistoryGone
from audit.journal import last_commit
from audit.snapshots import load, snapshots, write_snapshot
from eventlog.port import EventLog, LogUnavailable
from eventlog.sharing import Notice
from runtime import metrics
from runtime.clock import Clock

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
        self._times = AppendTimes(shard, at_once=log.one_time_a_commit)
        self._last: Mark | None = None
        self._failures = 0

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
        while True:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._tell())
                    await self._follow()
            except* LogUnavailable as error:
                self._notice(f"the log is not available: {error.exceptions[0]}")
            config = self._config
            wait_s = min(config.backoff_s * 2**self._failures, config.max_backoff_s)
            self._failures = min(self._failures + 1, 16)
            await self._clock.sleep(wait_s)

    async def _follow(self) -> None:
        verifier = self._verifier
        if verifier is None:
            self._notice("looking for a snapshot")
            verifier = self._verifier = await self._begin()
        self._notice(None)
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

    async def _begin(self) -> Verifier:
        standing = await self._newest()
        position = standing.state.position
        if position.commit:
            self._last = Mark(position.log_time, standing.observations)
        logger.info(
            "audit begins", extra={"shard": self._shard, "commit": position.commit}
        )
        config = self._config
        return Verifier(
            standing,
            config.generations,
            accepted=config.accepted,
            identity=config.identity,
        )

    async def _newest(self) -> Standing:
        oldest = await oldest_needed(self._log, self._shard)
        for found in await snapshots(self._log, self._shard):
            if can_start(found.header, oldest):
                try:
                    standing = await load(self._log, found)
                except Damaged as error:
                    self._warn("snapshot damaged", found.header.commit, f"{error}")
                    continue
                self._places = found.header.places
                return standing
        for topic, offset in oldest.items():
            if offset > 0:
                raise HistoryGone(topic, self._shard, oldest=offset)
        return new_standing(self._shard)

    def _warn(self, event: str, commit: int, why: str) -> None:
        extra = {"shard": self._shard, "commit": commit, "error": why}
        logger.warning(event, extra=extra)

    async def _verify(
        self, verifier: Verifier, read: CommitRead, commits: Commits
    ) -> None:
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
