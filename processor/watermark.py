"""A shard's records about itself: how far it has read, and how new and how old that is."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from eventlog.port import Entry, EventLog, Partition, ShardWriter
from processor.config import ProcessorConfig
from processor.core.observed import LastQuotes, advanced
from processor.core.prices import TokenPrice
from processor.terms import Begun
from runtime.clock import Clock
from schemas.base import encode
from schemas.latest import observed_key, unquoted_key, watermark_key
from schemas.log import TERM_HEADER, Observed, Watermark
from schemas.states import LATEST_BOUNDS_KEY, OBSERVED_KEY
from schemas.topics import LATEST, STATE

Entries = Mapping[str, Sequence[Entry]]


class Observations(NamedTuple):
    """What a new owner knows of the observations that were folded before it."""

    observed: Observed
    quotes: LastQuotes


class Watermarks:
    """The watermarks of one owner of a shard, and with them what it says of observations.

    That is which are the newest, and which tokens nobody quotes any more.

    Neither steps back. After a failed commit this object is of no use any more: the next
    owner goes by what is in the log.

    The term began at an append time just seen. Whatever this machine's clock says, the
    log's is not behind that, and goes on from there.
    """

    def __init__(
        self,
        writer: ShardWriter,
        log: EventLog,
        begun: Begun,
        *,
        config: ProcessorConfig,
        clock: Clock,
        known: Observations,
    ) -> None:
        self._writer, self._log = writer, log
        self._begun = begun
        self._config, self._clock = config, clock
        self._last_ms = 0
        self._written_s: float | None = None
        self._seen_ms, self._seen_s = begun.term.started_at, clock.monotonic_s()
        self._observed, self._quotes = known
        self._published: Observed | None = None
        self.unquoted = self._quotes.unquoted()
        # An owner before us may have named tokens; without prices it cannot have.
        self._is_unquoted_published = not self._quotes.has_prices
        # Whether values were committed since the bounds of ``latest`` were noted.
        self._bounds_are_old = False

    def folded(self, tokens: Iterable[TokenPrice]) -> None:
        """Take over the prices that the next commit changes."""
        self._quotes.update(tokens)

    def riding(self, log_time_ms: int, observed_ms: Mapping[str, int]) -> Entries:
        """Return what a commit takes along.

        Its own log time when a watermark is due. The copy of the newest observation times
        in ``state`` goes with every commit that advances them: what is published later
        must not step back, whatever happens to this owner, and the next owner reads each
        observation only if no commit has taken it.
        """
        if log_time_ms > self._log_now_ms():
            self._seen_ms, self._seen_s = log_time_ms, self._clock.monotonic_s()
        observed = advanced(self._observed, observed_ms)
        copies = []
        if observed is not self._observed:
            copies.append(Entry(OBSERVED_KEY, encode(observed)))
        self._observed = observed
        self._bounds_are_old = True
        if not self._is_due(self._config.watermark_s):
            return {STATE: copies}
        return {LATEST: self._records(log_time_ms), STATE: [*copies, *self._bounds()]}

    def due_when_idle(self) -> bool:
        """Tell whether nothing was written for so long that a watermark must be."""
        return self._is_due(self._config.idle_watermark_s)

    async def when_idle(
        self, positions: Mapping[Partition, int], log_time_ms: int
    ) -> Entries:
        """Return what a shard writes that has folded all before ``positions``.

        Its log time is when the ends were asked for, if they are no further: by the
        log's clock, of which we know that it is not behind what we say.
        """
        asked_ms = self._log_now_ms()
        ends = await self._log.ends(list(positions))
        at_end = all(positions[at] >= end for at, end in ends.items())
        records = self._records(asked_ms if at_end else log_time_ms)
        return {LATEST: records, STATE: self._bounds()}

    def _log_now_ms(self) -> int:
        passed_s = self._clock.monotonic_s() - self._seen_s
        return self._seen_ms + int(passed_s * 1_000)

    def _is_due(self, every_s: float) -> bool:
        written_s = self._written_s
        return written_s is None or self._clock.monotonic_s() - written_s >= every_s

    def _records(self, time_ms: int) -> list[Entry]:
        """Return the watermark, and the observation times if they are others by now."""
        self._last_ms = max(self._last_ms, time_ms)
        self._written_s = self._clock.monotonic_s()
        shard = self._writer.shard
        mark = Watermark(shard=shard, log_time=self._last_ms)
        # An edge that reads a watermark of another term than it knows of has read records
        # that the log has lost since.
        headers = ((TERM_HEADER, self._begun.term.id.encode()),)
        records = [Entry(watermark_key(shard), encode(mark), headers)]
        if self._observed != self._published:
            records.append(Entry(observed_key(shard), encode(self._observed)))
            self._published = self._observed
        return [*records, *self._unquoted()]

    def _unquoted(self) -> list[Entry]:
        """Return the tokens that nobody quotes, unless the last such record says it."""
        unquoted = self._quotes.unquoted()
        if unquoted == self.unquoted and self._is_unquoted_published:
            return []
        self.unquoted, self._is_unquoted_published = unquoted, True
        return [Entry(unquoted_key(unquoted.shard), encode(unquoted))]

    def _bounds(self) -> list[Entry]:
        """Return a note of how far ``latest`` goes, unless the last one says it."""
        if not self._bounds_are_old:
            return []
        self._bounds_are_old = False
        end = self._writer.ends[LATEST]
        bounds = self._begun.bounds.model_copy(update={"end": end})
        return [Entry(LATEST_BOUNDS_KEY, encode(bounds))]
