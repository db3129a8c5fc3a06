"""Which terms of a shard are kept when a new owner begins its own."""

from schemas.log import MAX_TERMS, Term, Terms
from schemas.topics import DAY_MS

# No cursor that an edge accepts is as old as this: tombstones are kept for as long, and
# edges refuse cursors an hour earlier.
CURSOR_LIFE_MS = DAY_MS


def with_term(earlier: Terms | None, shard: int, term: Term) -> Terms:
    """Return the terms of a shard once ``term`` has begun.

    A term stays as long as a cursor can name it: until ``CURSOR_LIFE_MS`` after its
    successor began. Whatever began before a term that is dropped is dropped as well,
    because append times may step back. A term that began at or after the start of the
    new one is dropped: its records were lost. At most ``MAX_TERMS`` stay.
    """
    kept = [t for t in (earlier.terms if earlier else ()) if t.start < term.start]
    terms = [*kept, term]
    ended_before_ms = term.started_at - CURSOR_LIFE_MS
    first = max(
        (at for at, began in enumerate(terms) if began.started_at < ended_before_ms),
        default=0,
    )
    return Terms(shard=shard, terms=tuple(terms[first:][-MAX_TERMS:]))
