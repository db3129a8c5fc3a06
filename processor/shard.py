"""The shell of one shard: acquire, restore, then receive, decide, do, advance."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

from eventlog.port import (
    EventLog,
    LogError,
    LogRewound,
    LogUnavailable,
    OffsetOutOfRange,
    Partition,
    Reader,
    Record,
    ShardWriter,
)
from eventlog.sharing import Notice
from processor.config import ProcessorConfig
from processor.core.batch import NO_LOG, Batch, fold_batch
from processor.core.observed import LastQuotes
from processor.core.prices import TokenPrice, doubts_about
from processor.core.rules import Rules
from processor.core.shard_state import ShardState
from processor.doubts import PriceDoubts
from processor.inbox import Inbox
from processor.restore import Restored
from processor.retention import RetentionGuard, loss_of, positions_within
from processor.terms import Begun, begin_term
from processor.watermark import Entries, Observations, Watermarks
from runtime import metrics
from runtime.clock import Clock, SystemClock
from runtime.supervisor import leaves
from runtime.trouble import Trouble
from schemas.log import LogIdentity, Terms
from schemas.topics import LATEST, PRICES_RAW, RAW, STATE

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reporting:
    """Where a shard reports what an operator should see."""

    notice: Notice = lambda _: None
    doubts: PriceDoubts = field(default_factory=lambda: PriceDoubts(SystemClock()))


class Shard:
    """Turns one partition of the raw topics into its share of all that is derived."""

    def __init__(
        self,
        log: EventLog,
        shard: int,
        *,
        config: ProcessorConfig,
        clock: Clock,
        reporting: Reporting | None = None,
        identity: LogIdentity | None = None,
    ) -> None:
        self._log, self._shard = log, shard
        self._config, self._clock = config, clock
        reporting = reporting or Reporting()
        self._notice, self._doubts = reporting.notice, reporting.doubts
        self._identity = identity
        self._rules = Rules.of(config.fold, shard=shard)
        self._restored = self._nothing_restored()
        # The last term that we began, and where ``latest`` ended after our last commit.
        self._begun: Begun | None = None
        self._latest_end = 0
        self._inputs = [Partition(topic, shard) for topic in RAW]
        self._failures = 0
        self._trouble = Trouble(
            logger,
            "shard waits for the log",
            "shard has the log again",
            monotonic_s=clock.monotonic_s,
        )

    def _nothing_restored(self) -> Restored:
        config = self._config
        return Restored(self._shard, progress=self._report, on_step=config.on_step)

    @property
    def _state(self) -> ShardState:
        return self._restored.state

    async def run(self) -> None:
        """Serve until cancelled.

        Trouble with the log is waited out. Raises ``Fenced`` once another owner has the
        shard, ``FoldError`` for a bug, ``UnreadableState`` for what a newer program wrote,
        and what an operator must see to: ``ObservationsLost`` where retention has passed
        the shard, ``OffsetOutOfRange`` where the log ends before it, ``LatestLost`` where
        ``latest`` lacks what was published, ``LogFull``, ``LogCorrupt``, ``UnknownTopic``.
        A log that has lost what we committed is read again: see ``LogRewound``.
        """
        while True:
            try:
                with _one_error():
                    await self._own_and_serve()
            except LogUnavailable as error:
                await self._wait_out(error)
            except (LogRewound, OffsetOutOfRange) as error:
                await self._look_again(error)

    async def _look_again(self, error: LogRewound | OffsetOutOfRange) -> None:
        """Forget what we hold of a log that has lost some of it; raise for other losses."""
        if isinstance(error, OffsetOutOfRange) and error.partition.topic != STATE:
            raise loss_of(error, self._state.position.positions) from error
        self._restored = self._nothing_restored()
        logger.error(
            "acknowledged records lost",
            extra={"shard": self._shard, "error": str(error)},
        )
        await self._wait_out(error)

    async def _wait_out(self, error: LogError) -> None:
        config = self._config
        wait_s = min(config.backoff_s * 2**self._failures, config.max_backoff_s)
        self._failures = min(self._failures + 1, 16)
        metrics.LOG_ERRORS.labels(type(error).__name__).inc()
        self._notice(f"{error}")
        self._trouble.happened(shard=self._shard, error=f"{error}", wait_s=wait_s)
        await self._clock.sleep(wait_s)

    async def _own_and_serve(self) -> None:
        async with self._log.own(self._shard) as writer:
            self._config.on_step("shard-acquired")
            await self._restore(writer)
            await self._begin_term(writer)
            state = self._state
            start = {at: state.position.positions[at.topic] for at in self._inputs}
            async with self._log.reader(start) as reader:
                self._notice(None)
                self._trouble.over()
                with metrics.SHARDS_OWNED.track_inprogress(), self._figures():
                    await self._serve(writer, reader)

    async def _restore(self, writer: ShardWriter) -> None:
        started_s = self._clock.monotonic_s()
        self._report(0, 0)
        read = await self._catch_up(writer)
        self._state.read_on(await self._starts())
        took_s = self._clock.monotonic_s() - started_s
        metrics.RESTORE_SECONDS.observe(took_s)
        metrics.RESTORED_KEYS.labels(self._shard).set(len(self._state))
        logger.info(
            "shard restored",
            extra={
                "shard": self._shard,
                "keys": len(self._state),
                "records": read,
                "commit": self._state.position.commit,
                "took_s": round(took_s, 3),
            },
        )

    async def _catch_up(self, writer: ShardWriter) -> int:
        """Read what was committed since we last read, or all of it."""
        name = self._config.instance
        read = await self._restored.catch_up(self._log, writer, name)
        if self._begun is None or _is_last(self._begun, self._restored.terms):
            return read
        # Another owner came in between. The log it found may have lost what we hold.
        self._restored = self._nothing_restored()
        return await self._restored.catch_up(self._log, writer, name)

    async def _begin_term(self, writer: ShardWriter) -> None:
        self._begun = await begin_term(
            self._log,
            writer,
            self._restored,
            config=self._config,
            identity=self._identity,
            committed_end=self._latest_end,
        )
        self._config.on_step("term-begun")

    async def _starts(self) -> dict[str, int]:
        """Return where to read on in each topic; see ``positions_within``."""
        oldest = await self._log.oldest(self._inputs)
        accepted = self._config.accept_loss
        return positions_within(
            self._state.position.positions, oldest, accepted=accepted
        )

    def _report(self, records: int, percent: int) -> None:
        self._notice(f"being restored, {percent} % done, {records} records read")

    async def _serve(self, writer: ShardWriter, reader: Reader) -> None:
        inbox = Inbox(reader, limit=self._config.limits.inputs)
        assert self._begun is not None, "a term has begun"  # noqa: S101
        marks = Watermarks(
            writer,
            self._log,
            self._begun,
            config=self._config,
            clock=self._clock,
            known=Observations(self._restored.observed, self._last_quotes()),
        )
        self._doubts.replace(self._shard, marks.unquoted)
        guard = RetentionGuard(
            self._shard, self._log, config=self._config, clock=self._clock
        )
        watching = guard.run(lambda: self._state.position.positions)
        async with asyncio.TaskGroup() as group:
            group.create_task(inbox.fill(), name=f"read shard {self._shard}")
            group.create_task(self._tick(inbox), name=f"ticks of shard {self._shard}")
            group.create_task(watching, name=f"retention of shard {self._shard}")
            while True:
                inputs = await inbox.take()
                if inputs:
                    self._config.on_step("inputs-taken")
                    await self._fold(inputs, writer, marks)
                elif marks.due_when_idle():
                    # All that was read is folded: the inbox was just emptied.
                    positions = {at: reader.position(at) for at in self._inputs}
                    log_time_ms = self._state.position.log_time
                    entries = await marks.when_idle(positions, log_time_ms)
                    await writer.commit(entries)
                    self._committed(writer, marks)

    def _last_quotes(self) -> LastQuotes:
        """Return when each token was last quoted, and show what is doubtful about them."""
        tokens = [
            self._state.open(PRICES_RAW, owner)
            for owner in self._state.owners(PRICES_RAW)
        ]
        self._show_doubts(tokens)
        max_age_ms = self._rules.price_max_age_ms
        quotes = LastQuotes(self._shard, max_age_ms=max_age_ms)
        quotes.update(tokens)
        return quotes

    def _show_doubts(self, tokens: Iterable[TokenPrice]) -> None:
        doubts = [(one.contract_id, doubts_about(one, self._rules)) for one in tokens]
        self._doubts.update(self._shard, doubts)

    async def _fold(
        self,
        inputs: Sequence[tuple[str, Sequence[Record]]],
        writer: ShardWriter,
        marks: Watermarks,
    ) -> None:
        """Fold and commit all of ``inputs``."""
        config = self._config
        while inputs:
            batch = fold_batch(
                self._state,
                inputs,
                settings=config.fold,
                limits=config.limits,
                log=self._identity.digest if self._identity else NO_LOG,
            )
            inputs = batch.rest(inputs)
            config.on_step("folded")
            await self._commit(batch, writer, marks)

    async def _commit(
        self, batch: Batch, writer: ShardWriter, marks: Watermarks
    ) -> None:
        started_s = self._clock.monotonic_s()
        marks.folded(batch.changed_in(PRICES_RAW))
        riding = marks.riding(batch.record.log_time, batch.observed_ms)
        await writer.commit(_entries(batch, riding))
        self._config.on_step("commit-returned")
        # A crash before this line loses nothing: the log has it all.
        batch.apply()
        self._committed(writer, marks)
        self._count(batch, took_s=self._clock.monotonic_s() - started_s)

    def _committed(self, writer: ShardWriter, marks: Watermarks) -> None:
        self._failures = 0
        self._doubts.replace(self._shard, marks.unquoted)
        self._latest_end = writer.ends.get(LATEST, self._latest_end)

    def _count(self, batch: Batch, *, took_s: float) -> None:
        shard = self._shard
        metrics.COMMITS.labels(shard).inc()
        metrics.COMMIT_SECONDS.observe(took_s)
        metrics.COMMIT_INPUTS.labels(shard).inc(sum(batch.read.values()))
        metrics.SHARD_LOG_TIME.labels(shard).set(batch.record.log_time / 1_000)
        for topic, position in batch.consumed.items():
            metrics.SHARD_POSITION.labels(topic, shard).set(position)
        for name, count in batch.decisions.items():
            metrics.DECISIONS.labels(*name.split(".")).inc(count)
        self._show_doubts(batch.changed_in(PRICES_RAW))

    @contextmanager
    def _figures(self) -> Iterator[None]:
        """Leave no figures behind of a shard that is another's now."""
        try:
            yield
        finally:
            for topic in RAW:
                metrics.SHARD_POSITION.remove(topic, self._shard)
            for metric in (metrics.SHARD_LOG_TIME, metrics.RESTORED_KEYS):
                metric.remove(self._shard)
            self._doubts.forget(self._shard)

    async def _tick(self, inbox: Inbox) -> None:
        """Wake the shard now and then, so that it sees that it has been idle."""
        while True:
            await self._clock.sleep(self._config.watermark_s)
            inbox.poke()


def _is_last(begun: Begun, terms: Terms | None) -> bool:
    return terms is not None and terms.terms[-1].id == begun.term.id


def _entries(batch: Batch, riding: Entries) -> Entries:
    # The core writes tuples in the shape of ``Entry``, which it does not import.
    entries = cast(Entries, batch.entries)
    return {topic: [*part, *riding.get(topic, ())] for topic, part in entries.items()}


@contextmanager
def _one_error() -> Iterator[None]:
    """Raise, of a group of errors, the one that matters: a bug before the log's.

    A task that was asked to stop stops: a group whose task is cancelled while it ends
    for an error raises that error alone, and whoever goes on after it never stops.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        errors = list(leaves(group))
        bugs = [error for error in errors if not isinstance(error, LogError)]
        task = asyncio.current_task()
        if not bugs and task is not None and task.cancelling():
            raise asyncio.CancelledError from None
        raise (bugs or errors)[0] from None
