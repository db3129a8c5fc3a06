"""Generation 1 of the fold of prices: the median of the fresh sources.

It stays as it is, so that what it wrote can be derived again; ``prices`` is the fold that
writes new commits. A quote is a *word* here.
"""

from collections.abc import Collection
from decimal import Decimal
from operator import attrgetter
from typing import Final

from schemas.amounts import EXACT, PRICE_PLACES, cut, plain
from schemas.base import MAX_INT
from schemas.ids import ContractId
from schemas.journal import Decision
from schemas.latest import price_key
from schemas.states import MAX_SOURCES

from .prices import Quote
from .rules import CONFLICT, FULL, Outcome, Refused, Rules

_DUPLICATE: Final = Outcome((Decision.DUPLICATE,))
_STALE: Final = Outcome((Decision.STALE,))
_UNCHANGED: Final = Outcome((Decision.UNCHANGED,))
_PUBLISHED: Final = (Decision.PUBLISHED,)
_UNIT: Final = int("1".ljust(PRICE_PLACES + 1, "0"))
_new: Final = tuple.__new__
# So many sources most tokens have.
_USUAL: Final = 3


_number = attrgetter("number")


class TokenPrice:
    """The last word of each source on one token, by name, and what was published."""

    __slots__ = (
        "changed",
        "contract_id",
        "key",
        "newest",
        "none_before",
        "usd",
        "version",
        "words",
    )

    def __init__(self, contract_id: str) -> None:
        self.contract_id = contract_id
        self.key = price_key(ContractId(contract_id))
        self.words: dict[str, Quote] = {}
        # Of all words; they only move forward, so it does too.
        self.newest = 0
        # No word was observed earlier, though perhaps all were later.
        self.none_before = MAX_INT
        self.usd: str | None = None
        self.version = 0
        self.changed = False

    def copy(self) -> "TokenPrice":
        """Return the same as something not yet changed."""
        copied = object.__new__(TokenPrice)
        copied.contract_id, copied.key = self.contract_id, self.key
        copied.words, copied.newest = self.words.copy(), self.newest
        copied.none_before, copied.usd = self.none_before, self.usd
        copied.version, copied.changed = self.version, False
        return copied

    def add(self, word: Quote) -> None:
        """Hold the first word of a source; the words stay in the order of names."""
        self.words = dict(sorted([*self.words.items(), (word.source, word)]))
        self.newest = max(self.newest, word.observed_at)
        self.none_before = min(self.none_before, word.observed_at)

    def fresh(self, since: int) -> Collection[Quote]:
        """Return the words that were not observed before a moment, by source."""
        words = self.words.values()
        self.none_before = min(word.observed_at for word in words)
        if since <= self.none_before:
            return words
        return [word for word in words if word.observed_at >= since]


def fold(token: TokenPrice, seen: Quote, rules: Rules) -> Outcome | Refused:
    """Fold what a source said into the price of its token.

    A source only moves forward: its same moment again is a duplicate or a conflict, an
    earlier one is stale. None of them changes ``token``.
    """
    last = token.words.get(seen.source)
    if last is None:
        if len(token.words) >= MAX_SOURCES:
            return FULL
        token.add(seen)
    elif seen.observed_at > last.observed_at or _moment(seen) > _moment(last):
        token.words[seen.source] = seen
        if seen.observed_at > token.newest:  # noqa: PLR1730 - a call more in the hot path
            token.newest = seen.observed_at
    elif _moment(seen) < _moment(last):
        return _STALE
    else:
        return _DUPLICATE if seen.usd == last.usd else CONFLICT
    token.changed = True
    # Nearly always all words are fresh: a call less.
    since = token.newest - rules.price_max_age_ms
    fresh = token.words.values() if since <= token.none_before else token.fresh(since)
    usd = _median(fresh)
    before = token.usd
    if usd == before:
        return _UNCHANGED
    deviation = rules.price_deviation
    if deviation and before is not None and _is_near(usd, before, deviation):
        return _UNCHANGED
    token.usd = usd
    token.version += 1
    published = (token.key, _value(token, fresh, shard=rules.shard))
    return _new(Outcome, (_PUBLISHED, (published,)))


def _moment(word: Quote) -> tuple[int, int]:
    return word.observed_at, word.sequence


def _median(fresh: Collection[Quote]) -> str:
    """Return the median cut to 18 places."""
    if len(fresh) == _USUAL:
        word = _middle(*fresh)
    else:
        ranked = sorted(fresh, key=_number)
        middle, odd = divmod(len(ranked), 2)
        word = ranked[middle]
        if not odd:
            return _mean(ranked[middle - 1], word)
    # So short that no more than 18 places can stand after the point.
    return word.usd if len(word.usd) <= PRICE_PLACES else plain(cut(word.number))


def _middle(one: Quote, two: Quote, three: Quote) -> Quote:
    """Return the middle one, sooner than by sorting."""
    first, second, third = one.number, two.number, three.number
    if first > second:
        one, first, two, second = two, second, one, first
    if second <= third:
        return two
    return three if third > first else one


def _mean(one: Quote, two: Quote) -> str:
    total = EXACT.add(one.number, two.number)
    return plain(cut(EXACT.divide(total, Decimal(2))))


def _is_near(usd: str, before: str, deviation: int) -> bool:
    """Tell whether ``usd`` is off by at most ``deviation`` units of 1e-18 a unit."""
    now, then = _units(usd), _units(before)
    return abs(now - then) * _UNIT <= deviation * then


def _units(usd: str) -> int:
    return int(Decimal(usd).scaleb(PRICE_PLACES, context=EXACT))


def _value(token: TokenPrice, fresh: Collection[Quote], *, shard: int) -> bytes:
    """Return the canonical bytes of the ``Price``; the newest word is always fresh."""
    between = f'],["prices.raw",{shard},'
    if len(fresh) == _USUAL:
        one, two, three = fresh
        origins = f"{one.offset}{between}{two.offset}{between}{three.offset}"
    else:
        origins = between.join([str(word.offset) for word in fresh])
    return (
        f'{{"contractId":"{token.contract_id}","market":{_market(fresh)},'
        f'"observedAt":{token.newest},"origins":[["prices.raw",{shard},{origins}]],'
        f'"schema":"price/1","usd":"{token.usd}","version":{token.version}}}'
    ).encode()


def _market(fresh: Collection[Quote]) -> str:
    """Return the market of the latest word that has one; the last of equals."""
    latest: Quote | None = None
    for word in fresh:
        if word.market is not None and (
            latest is None or _moment(word) >= _moment(latest)
        ):
            latest = word
    return latest.market or "null" if latest else "null"
