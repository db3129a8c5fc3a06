"""The beginning of a new owner's term, and the check that ``latest`` has lost nothing.

Every acquisition of a shard begins a term. Edges tell by it whether a position in
``latest`` is one of this log: a restored copy, and a broker that lost the end of a
partition, use offsets again, but never a term.
"""

import logging
from typing import NamedTuple

from eventlog.port import (
    Entry,
    EventLog,
    LogError,
    Partition,
    Record,
    ShardWriter,
    read_to,
)
from processor.config import ProcessorConfig
from processor.core.published import missing, version_of
from processor.core.terms import with_term
from processor.restore import Restored
from schemas.base import MAX_INT, encode
from schemas.latest import IDENTITY_KEY, terms_key
from schemas.log import LogIdentity, Term
from schemas.states import IDENTITY_COPY_KEY, LATEST_BOUNDS_KEY, TERMS_KEY, LatestBounds
from schemas.topics import LATEST, STATE

logger = logging.getLogger(__name__)

_BATCH = 2_000
# Keys named in a message.
_NAMED = 3
# Nobody has noted what it holds: every partition is to be looked at.
UNKNOWN_BOUNDS = LatestBounds(oldest=0, end=MAX_INT)


class LatestLost(LogError):
    """``latest`` lacks values that its shard has published."""

    def __init__(self, shard: int, keys: list[bytes]) -> None:
        named = ", ".join(key.decode(errors="replace") for key in keys[:_NAMED])
        more = f" and {len(keys) - _NAMED:,} more" if len(keys) > _NAMED else ""
        super().__init__(
            f"{LATEST}[{shard}] lacks what shard {shard} has published ({named}{more}): "
            "records of it were deleted or lost; stop the processors and write it again "
            "with `stacks-feed topics rebuild latest`"
        )
        self.shard, self.keys = shard, keys


class Begun(NamedTuple):
    """A term that has begun, and the offsets of ``latest`` just before."""

    term: Term
    bounds: LatestBounds


async def begin_term(
    log: EventLog,
    writer: ShardWriter,
    restored: Restored,
    *,
    config: ProcessorConfig,
    identity: LogIdentity | None,
    committed_end: int,
) -> Begun:
    """Begin the term of a new owner, before it publishes anything else.

    The shard is restored. ``committed_end`` is where its partition of ``latest`` ended
    after the last commit of an earlier owner in this process. Raises ``LatestLost`` where
    values are missing from ``latest``. To find that out all of it is read, so that is done
    only if it begins later or ends earlier than it did, or if nobody noted where it did.
    """
    shard = writer.shard
    at = Partition(LATEST, shard)
    oldest, ends = await log.oldest([at]), await log.ends([at])
    bounds = LatestBounds(oldest=oldest[at], end=ends[at])
    known = _known_bounds(restored, bounds, committed_end=committed_end)
    if known != bounds:
        lost = await _lost_keys(log, at, bounds, restored, identity=identity)
        if lost:
            # The next owner, in this process or another, must look again.
            await writer.commit({STATE: [Entry(LATEST_BOUNDS_KEY, encode(known))]})
            raise LatestLost(shard, lost)
    term = Term(config.new_term_id(), bounds.end, restored.barrier_ms)
    terms = encode(with_term(restored.terms, shard, term))
    copies = {TERMS_KEY: terms, LATEST_BOUNDS_KEY: encode(bounds)}
    if shard == 0 and identity is not None:
        copies[IDENTITY_COPY_KEY] = encode(identity)
    await writer.commit(
        {
            LATEST: [Entry(terms_key(shard), terms)],
            STATE: [Entry(key, copy) for key, copy in copies.items()],
        }
    )
    logger.info(
        "term begun", extra={"shard": shard, "term": term.id, "start": term.start}
    )
    return Begun(term, bounds)


def _known_bounds(
    restored: Restored, bounds: LatestBounds, *, committed_end: int
) -> LatestBounds:
    """Return which offsets ``latest`` must hold at least, by what is known.

    If records may be missing these are not ``bounds``, the offsets that it does hold.
    """
    known = restored.bounds
    if known is None:
        return UNKNOWN_BOUNDS if len(restored.state) else bounds
    end = max(known.end, committed_end)
    if bounds.oldest > known.oldest or bounds.end < end:
        return LatestBounds(oldest=known.oldest, end=end)
    return bounds


async def _lost_keys(
    log: EventLog,
    at: Partition,
    bounds: LatestBounds,
    restored: Restored,
    *,
    identity: LogIdentity | None,
) -> list[bytes]:
    """Return the keys that the shard has published and ``latest`` lacks; reads it all."""
    logger.warning("checking latest", extra={"shard": at.number, "end": bounds.end})
    versions: dict[bytes, int] = {}
    async with log.reader({at: bounds.oldest}) as reader:
        async for batches in read_to(reader, {at: bounds.end}, max_records=_BATCH):
            for record in batches.get(at, ()):
                _note(record, versions)
    lost = list(missing(restored.state, versions))
    if at.number == 0 and identity is not None and IDENTITY_KEY not in versions:
        lost.insert(0, IDENTITY_KEY)
    return lost


def _note(record: Record, versions: dict[bytes, int]) -> None:
    key = record.key or b""
    if record.value is None:
        versions.pop(key, None)
    else:
        versions[key] = version_of(record.value)
