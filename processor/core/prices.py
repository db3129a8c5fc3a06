"""Derives the price of a token from the quotes of its sources.

This is generation 2 of the fold; ``docs/fold.md`` specifies it. ``prices_v1`` is the
generation before it.

``fold`` is the hottest code of the project (``benchmarks/folding.py``). A ``TokenPrice`` is
owned by one batch and changed in place, the bytes of published values are written without
a model, and lower bounds (``oldest``, ``still_since``) spare it a look at every quote. The
tests hold the bytes to the models and the results to a second derivation.
"""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import Enum
from itertools import pairwise
from operator import attrgetter
from typing import Final, NamedTuple

from schemas.amounts import EXACT, PRICE_PLACES, cut, plain
from schemas.base import MAX_INT
from schemas.ids import ContractId
from schemas.journal import Decision
from schemas.latest import price_key
from schemas.states import MAX_CHANGES, MAX_SOURCES

from .rules import CONFLICT, FULL, Outcome, Refused, Rules

# A source's own time is believed from 2009 on: before that there was no block chain, and
# small numbers are seconds, or nothing at all.
EARLIEST_SOURCE_TIME: Final = 1_230_768_000_000

_DUPLICATE: Final = Outcome((Decision.DUPLICATE,))
_STALE: Final = Outcome((Decision.STALE,))
_SUSPECT: Final = Outcome((Decision.SUSPECT,))
_UNCHANGED: Final = Outcome((Decision.UNCHANGED,))
_PUBLISHED: Final = (Decision.PUBLISHED,)
_TEN: Final = 10
_UNIT: Final[int] = 10**PRICE_PLACES
# Wide enough for the exact product of two prices of 38 digits.
_PRODUCT: Final = Context(prec=80, rounding=ROUND_HALF_EVEN)
_new: Final = tuple.__new__
# Most tokens have three sources, for which the fast path needs no loop.
_USUAL: Final = 3
_number = attrgetter("number")


@dataclass(slots=True)
class Quote:
    """What one source said about the price of one token.

    ``number`` is ``usd`` as a number, ``market`` is canonical JSON. ``time`` is the earlier
    of the source's own time and ``observed_at``. ``since`` is the ``observed_at`` of the
    first quote of the source's current run of equal values; ``changes`` are those of its
    last changes, oldest first. Nobody changes a quote once it is held. It is not frozen,
    because that would double the time to make one.
    """

    observed_at: int
    sequence: int
    source: str
    usd: str
    number: Decimal
    market: str | None
    offset: int
    time: int = 0
    since: int = 0
    changes: tuple[int, ...] = ()


def quote_time(observed_at: int, source_time: int | None) -> int:
    """Return the moment at which a quote was true, as far as anybody knows."""
    if source_time is None or source_time < EARLIEST_SOURCE_TIME:
        return observed_at
    return min(source_time, observed_at)


def quoted_at(token: "TokenPrice") -> int:
    """Return the moment of the newest quote of a token; 0 if there is none."""
    return max((quote.time for quote in token.quotes.values()), default=0)


class Suspect(NamedTuple):
    """A jump that waits to be confirmed: who said what, and when."""

    source: str
    usd: str
    number: Decimal
    moment: tuple[int, int]


class TokenPrice:
    """The last quote of each source of one token, and what was published."""

    __slots__ = (
        "agreed",
        "changed",
        "contract_id",
        "key",
        "newest",
        "number",
        "observed_at",
        "oldest",
        "quotes",
        "reference",
        "still_since",
        "suspect",
        "usd",
        "version",
    )

    def __init__(self, contract_id: str) -> None:
        self.contract_id = contract_id
        self.key = price_key(ContractId(contract_id))
        # By source, in the order of the names.
        self.quotes: dict[str, Quote] = {}
        # The newest ``observed_at`` of all quotes. A source only moves forward, so it does.
        self.newest = 0
        # No ``time`` and no ``since`` of a quote is below these; all may be above.
        self.oldest = self.still_since = MAX_INT
        # The last published value, as text and as number, and the newest observation that
        # a published value has named.
        self.usd: str | None = None
        self.number: Decimal | None = None
        self.version = self.observed_at = 0
        # The value last published or confirmed while at least two quotes counted.
        self.reference: Decimal | None = None
        # Whether two counting quotes have ever been near each other.
        self.agreed = False
        self.suspect: Suspect | None = None
        self.changed = False

    def copy(self) -> "TokenPrice":
        """Return the same as something not yet changed."""
        copied = object.__new__(TokenPrice)
        copied.contract_id, copied.key = self.contract_id, self.key
        copied.quotes, copied.newest = self.quotes.copy(), self.newest
        copied.oldest, copied.still_since = self.oldest, self.still_since
        copied.usd, copied.number = self.usd, self.number
        copied.version, copied.observed_at = self.version, self.observed_at
        copied.reference, copied.agreed = self.reference, self.agreed
        copied.suspect, copied.changed = self.suspect, False
        return copied

    def add(self, quote: Quote) -> None:
        """Hold the first quote of a source."""
        self.quotes = dict(sorted([*self.quotes.items(), (quote.source, quote)]))
        self.newest = max(self.newest, quote.observed_at)
        self.oldest = min(self.oldest, quote.time)
        self.still_since = min(self.still_since, quote.since)

    def replace(self, last: Quote, quote: Quote) -> None:
        """Hold a later quote of a source instead of its last one."""
        if quote.usd == last.usd:
            quote.since, quote.changes = last.since, last.changes
        else:
            quote.changes = (*last.changes[1 - MAX_CHANGES :], quote.observed_at)
        self.quotes[quote.source] = quote
        if quote.observed_at > self.newest:  # noqa: PLR1730 - a call more in the hot path
            self.newest = quote.observed_at
        if quote.time < self.oldest:  # noqa: PLR1730 - as above
            self.oldest = quote.time

    def counting(self, rules: Rules) -> Collection[Quote]:
        """Return the quotes that count: those that are fresh and not frozen, by source."""
        quotes: Collection[Quote] = self.quotes.values()
        since = self.newest - rules.price_max_age_ms
        if since > self.oldest:
            self.oldest = min(quote.time for quote in quotes)
            if since > self.oldest:
                quotes = [quote for quote in quotes if quote.time >= since]
        frozen_ms = rules.price_frozen_ms
        if frozen_ms and self.newest - self.still_since > frozen_ms and len(quotes) > 1:
            self.still_since = min(quote.since for quote in self.quotes.values())
            quotes = _moving(quotes, frozen_ms)
        return quotes


def _moving(fresh: Collection[Quote], frozen_ms: int) -> Collection[Quote]:
    """Return fresh quotes but for those of frozen sources."""
    # A source has changed often enough since a moment if its change before the last two
    # came after that. Its own changes are never after its own ``since``.
    witnesses = [
        quote.changes[0] for quote in fresh if len(quote.changes) == MAX_CHANGES
    ]
    if not witnesses:
        return fresh
    proof = max(witnesses)
    return [
        quote
        for quote in fresh
        if quote.observed_at - quote.since <= frozen_ms or quote.since >= proof
    ]


def fold(token: TokenPrice, seen: Quote, rules: Rules) -> Outcome | Refused:
    """Fold one quote into the price of its token.

    A source only moves forward: its same moment again is a duplicate or a conflict, an
    earlier one is stale. None of these changes ``token``.
    """
    passed_over = _hold(token, seen)
    if passed_over is not None:
        return passed_over
    counting = token.counting(rules)
    return _decide(token, counting, rules) if counting else _UNCHANGED


def _hold(token: TokenPrice, seen: Quote) -> Outcome | Refused | None:
    """Hold a quote as the last one of its source; return why not, if it is not."""
    last = token.quotes.get(seen.source)
    if last is None:
        if len(token.quotes) >= MAX_SOURCES:
            return FULL
        token.add(seen)
    elif seen.observed_at > last.observed_at or _moment(seen) > _moment(last):
        token.replace(last, seen)
    elif _moment(seen) < _moment(last):
        return _STALE
    else:
        return _DUPLICATE if seen.usd == last.usd else CONFLICT
    token.changed = True
    return None


def _moment(quote: Quote) -> tuple[int, int]:
    return quote.observed_at, quote.sequence


def _decide(token: TokenPrice, counting: Collection[Quote], rules: Rules) -> Outcome:
    """Decide what the counting quotes, at least one, mean for the price."""
    several = len(counting) > 1
    factor = rules.price_jump_factor
    if several and not token.agreed:
        token.agreed = _is_near_pair(counting, factor)
    quote = _chosen(token, counting)
    # Text this short cannot have more than 18 places after the point.
    usd = quote.usd if len(quote.usd) <= PRICE_PLACES else plain(cut(quote.number))
    if usd != token.usd and _is_held_back(token, quote, counting, factor):
        token.suspect = Suspect(quote.source, quote.usd, quote.number, _moment(quote))
        return _SUSPECT
    token.suspect = None
    if usd == token.usd or _is_within(usd, token.usd, rules.price_deviation):
        if several:
            token.reference = token.number
        return _UNCHANGED
    token.usd = usd
    token.number = quote.number if usd is quote.usd else Decimal(usd)
    _take_over(token, counting)
    published = (token.key, _value(token, counting, shard=rules.shard))
    return _new(Outcome, (_PUBLISHED, (published,)))


def _take_over(token: TokenPrice, counting: Collection[Quote]) -> None:
    """Note what goes with a new published value."""
    token.version += 1
    newest = token.newest
    if len(counting) < len(token.quotes):
        newest = max(quote.observed_at for quote in counting)
    if newest > token.observed_at:  # noqa: PLR1730 - a call more in the hot path
        token.observed_at = newest
    if len(counting) > 1:
        token.reference = token.number


# ---- which quote is the value


def _chosen(token: TokenPrice, counting: Collection[Quote]) -> Quote:
    """Return the quote that is the value: the middle one, or one of the middle two."""
    if len(counting) == _USUAL:
        return _middle(*counting)
    ranked = sorted(counting, key=_number)
    middle, odd = divmod(len(ranked), 2)
    if odd:
        return ranked[middle]
    reference = token.number if token.reference is None else token.reference
    return _nearer(ranked[middle - 1], ranked[middle], reference)


def _middle(one: Quote, two: Quote, three: Quote) -> Quote:
    """Return the middle one, sooner than by sorting."""
    first, second, third = one.number, two.number, three.number
    if first > second:
        one, first, two, second = two, second, one, first
    if second <= third:
        return two
    return three if third > first else one


def _nearer(low: Quote, high: Quote, reference: Decimal | None) -> Quote:
    """Return the one nearer to the reference by ratio; the lower one of equals."""
    if reference is None or reference <= low.number:
        return low
    if reference >= high.number:
        return high
    square = _PRODUCT.multiply(reference, reference)
    return low if square <= _PRODUCT.multiply(low.number, high.number) else high


# ---- jumps


def _is_held_back(
    token: TokenPrice, quote: Quote, counting: Collection[Quote], factor: int
) -> bool:
    """Tell whether a value is a jump that nothing confirms."""
    if not factor or not _is_jump(token, quote.number, factor):
        return False
    return _confirmation(token, quote, counting, factor) is None


def _is_jump(token: TokenPrice, number: Decimal, factor: int) -> bool:
    """Tell whether a value is far from both the published price and the reference."""
    if token.number is None or not _is_far(number, token.number, factor):
        return False
    return token.reference is None or _is_far(number, token.reference, factor)


class Confirmation(Enum):
    """Why a jump is believed."""

    BY_ANOTHER = "another source"
    BY_ITSELF = "itself"


def _confirmation(
    token: TokenPrice, quote: Quote, counting: Collection[Quote], factor: int
) -> Confirmation | None:
    near = [
        other for other in counting if not _is_far(other.number, quote.number, factor)
    ]
    if len(near) > 1:
        return Confirmation.BY_ANOTHER
    suspect = token.suspect
    if suspect is None or suspect.source != quote.source:
        return None
    if _moment(quote) <= suspect.moment or _is_far(
        quote.number, suspect.number, factor
    ):
        return None
    return Confirmation.BY_ITSELF


def _is_far(one: Decimal, other: Decimal, factor: int) -> bool:
    """Tell whether two prices are apart by more than a factor, exactly."""
    # Nearly always: as many digits before the point, so the ratio is below ten.
    if factor >= _TEN and one.adjusted() == other.adjusted():
        return False
    times = Decimal(factor)
    return one > EXACT.multiply(other, times) or other > EXACT.multiply(one, times)


def _is_near_pair(counting: Collection[Quote], factor: int) -> bool:
    """Tell whether any two of the quotes are near each other; all are if ``factor`` is 0."""
    ranked = sorted(quote.number for quote in counting)
    return not factor or any(
        not _is_far(low, high, factor) for low, high in pairwise(ranked)
    )


def _is_within(usd: str, before: str | None, deviation: int) -> bool:
    """Tell whether ``usd`` is off by at most ``deviation`` units of 1e-18 a unit."""
    if not deviation or before is None:
        return False
    now, then = _units(usd), _units(before)
    off = abs(now - then) * _UNIT
    return off <= deviation * then


def _units(usd: str) -> int:
    return int(Decimal(usd).scaleb(PRICE_PLACES, context=EXACT))


# ---- what is published


def _value(token: TokenPrice, counting: Collection[Quote], *, shard: int) -> bytes:
    """Return the canonical bytes of the ``Price``."""
    between = f'],["prices.raw",{shard},'
    if len(counting) == _USUAL:
        one, two, three = counting
        origins = f"{one.offset}{between}{two.offset}{between}{three.offset}"
    else:
        origins = between.join([str(quote.offset) for quote in counting])
    return (
        f'{{"contractId":"{token.contract_id}","market":{_market(counting)},'
        f'"observedAt":{token.observed_at},"origins":[["prices.raw",{shard},{origins}]],'
        f'"schema":"price/1","usd":"{token.usd}","version":{token.version}}}'
    ).encode()


def _market(counting: Collection[Quote]) -> str:
    """Return the market of the latest quote that has one; the last of equals."""
    latest: Quote | None = None
    for quote in counting:
        if quote.market is not None and (
            latest is None or _moment(quote) >= _moment(latest)
        ):
            latest = quote
    return latest.market or "null" if latest else "null"


# ---- what an operator and an auditor want to know


class Doubt(Enum):
    """Why a price may be wrong, or one of its sources is."""

    SUSPECT = "suspect"
    FROZEN = "frozen"
    DISAGREEMENT = "disagreement"
    UNDECIDED = "undecided"
    UNQUOTED = "unquoted"


class Ignored(Enum):
    """Why a quote does not count."""

    OLD = "old"
    FROZEN = "frozen"


class Judgement(NamedTuple):
    """How a quote was judged together with those held, and what came of it.

    ``quotes`` are all quotes held, by source, each with the reason for which it does not
    count. ``before``, ``reference`` and ``suspect`` are those of before. ``chosen`` is the
    quote whose value was derived, ``usd`` that value; both are ``None`` if no quote
    counts. ``confirmation`` says why a jump was believed. ``apart`` are the lowest and the
    highest quote where these disagree; ``agreed`` tells whether any two have ever agreed.
    """

    quotes: tuple[tuple[Quote, Ignored | None], ...]
    before: str | None
    reference: str | None
    suspect: Suspect | None
    chosen: Quote | None
    usd: str | None
    is_jump: bool
    confirmation: Confirmation | None
    apart: tuple[Quote, Quote] | None
    agreed: bool


def judge(token: TokenPrice, seen: Quote, rules: Rules) -> Judgement | None:
    """Return how ``fold`` judges a quote; ``None`` for one that is not applied.

    ``token`` is as it was before; it is left as it is.
    """
    token = token.copy()
    before, reference, suspect = token.usd, token.reference, token.suspect
    if _hold(token, seen) is not None:
        return None
    counting = token.counting(rules)
    chosen, is_jump, confirmation = None, False, None
    if counting:
        factor = rules.price_jump_factor
        chosen = _chosen(token, counting)
        is_jump = bool(factor) and _is_jump(token, chosen.number, factor)
        if is_jump:
            confirmation = _confirmation(token, chosen, counting, factor)
        _decide(token, counting, rules)
    return Judgement(
        quotes=_judged(token, counting, rules),
        before=before,
        reference=None if reference is None else plain(reference),
        suspect=suspect,
        chosen=chosen,
        usd=None if chosen is None else plain(cut(chosen.number)),
        is_jump=is_jump,
        confirmation=confirmation,
        apart=_apart(counting, rules.price_jump_factor),
        agreed=token.agreed,
    )


def _judged(
    token: TokenPrice, counting: Collection[Quote], rules: Rules
) -> tuple[tuple[Quote, Ignored | None], ...]:
    counts = {quote.source for quote in counting}
    since = token.newest - rules.price_max_age_ms
    reasons = {
        name: Ignored.OLD if quote.time < since else Ignored.FROZEN
        for name, quote in token.quotes.items()
        if name not in counts
    }
    return tuple((quote, reasons.get(name)) for name, quote in token.quotes.items())


def _apart(counting: Collection[Quote], factor: int) -> tuple[Quote, Quote] | None:
    """Return the lowest and the highest quote if they are apart by more than a factor."""
    if not factor or not counting:
        return None
    low, high = min(counting, key=_number), max(counting, key=_number)
    return (low, high) if _is_far(low.number, high.number, factor) else None


def doubts_about(token: TokenPrice, rules: Rules) -> dict[Doubt, str]:
    """Return what is doubtful about a price now, each with the details in a few words.

    ``UNQUOTED`` is never among it: that depends on other tokens, see ``LastQuotes``.
    A disagreement is ``UNDECIDED`` while no two quotes have ever been near each other:
    then nothing tells which source is right.
    """
    found: dict[Doubt, str] = {}
    if token.suspect is not None:
        found[Doubt.SUSPECT] = f"{token.suspect.source} says {token.suspect.usd}"
    counting = token.counting(rules)
    if len(counting) < len(token.quotes):
        judged = _judged(token, counting, rules)
        frozen = [quote for quote, ignored in judged if ignored is Ignored.FROZEN]
        if frozen:
            said = [f"{quote.source} repeats {quote.usd}" for quote in frozen]
            found[Doubt.FROZEN] = ", ".join(said)
    apart = _apart(counting, rules.price_jump_factor)
    if apart is not None:
        low, high = apart
        kind = Doubt.DISAGREEMENT if token.agreed else Doubt.UNDECIDED
        found[kind] = f"{low.source} says {low.usd}, {high.source} says {high.usd}"
    return found
