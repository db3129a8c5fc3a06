"""Terms of a shard: what makes a position in ``latest`` mean the same records everywhere.

Each owner of a shard begins a term with a random id. A restored copy of the log, and a
broker that lost the end of a partition, use offsets again for other records, but never a
term. So two logs that have the same term at an offset have the same records up to there.
"""

from bisect import bisect_left
from collections.abc import Iterable
from hashlib import blake2b
from operator import attrgetter

from schemas.log import Term, Terms

_DIGEST_BYTES = 8
_start = attrgetter("start")


class OtherTimeline(Exception):
    """A record shows that the log has lost records which were read of it before."""

    def __init__(self, partition: int) -> None:
        super().__init__(f"partition {partition} has lost records that were read of it")
        self.partition = partition


def term_at(terms: Terms | None, position: int) -> Term | None:
    """Return the term in which the record before ``position`` was written.

    ``None`` if it is not known: it was dropped for its age, or the shard has none yet.
    """
    if terms is None:
        return None
    following = bisect_left(terms.terms, position, key=_start)
    return terms.terms[following - 1] if following else None


def successor(terms: Terms, term: Term) -> Term | None:
    """Return the term after one of ``terms``; ``None`` for the current one."""
    following = terms.terms[terms.terms.index(term) + 1 :]
    return following[0] if following else None


def record_term(terms: Terms, offset: int) -> str:
    """Name the term of the record at an offset.

    A term that was dropped for its age is named by the oldest one that is known: two logs
    that share that one share all before it.
    """
    term = term_at(terms, offset + 1)
    return term.id if term else f"before-{terms.terms[0].id}"


def digest_of(terms: Iterable[Term | None]) -> str | None:
    """Return a short text for the terms of all partitions in their order.

    ``None`` if one of them is not known.
    """
    digest = blake2b(digest_size=_DIGEST_BYTES)
    for term in terms:
        if term is None:
            return None
        digest.update(term.id.encode())
    return digest.hexdigest()


def contradicts(known: Terms, read: Terms, position: int) -> bool:
    """Tell whether newly read terms deny what was read before ``position``.

    ``known`` are those read before. In one and the same log the new ones begin with the
    last of these, and where that one ended nothing was read yet.
    """
    last = known.terms[-1]
    if last not in read.terms:
        return True
    following = successor(read, last)
    return following is not None and following.start < position
