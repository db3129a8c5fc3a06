"""The observations of one owner folded one by one, each alone, as its commit folded it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from processor.core.batch import Batch
from processor.core.generations import (
    UNLIMITED,
    Fold,
    Generations,
    fold_of,
    log_of,
)
from processor.core.journal import InputRecord
from processor.core.observations import read_price
from processor.core.prices import Judgement, Quote, TokenPrice, judge
from processor.core.rules import Rules
from processor.core.shard_state import ShardState
from schemas.balances import BalanceObserved
from schemas.base import Malformed, decoder
from schemas.journal import Commit, Decision, FoldSettings
from schemas.prices import PriceObserved
from schemas.rejects import Reject
from schemas.tokens import TokenObserved
from schemas.topics import BALANCES_RAW, CHANGES, PRICES_RAW, REJECTS, TOKENS_RAW

from .decisions import decision_on
from .subjects import Key

_DECODERS = {
    PRICES_RAW: decoder(PriceObserved),
    BALANCES_RAW: decoder(BalanceObserved),
    TOKENS_RAW: decoder(TokenObserved),
}
_reject = decoder(Reject)


@dataclass(frozen=True, slots=True)
class Observation:
    """One record of a raw topic; ``said`` is ``None`` if it cannot be read."""

    topic: str
    shard: int
    record: InputRecord
    said: Any


@dataclass(frozen=True, slots=True)
class Step:
    """What one observation did to one key.

    ``decision`` is ``None`` where it says nothing about the key; ``reject`` is what went
    to ``rejects``. ``published`` are all keys with their new values. ``words`` are what
    each source is held to have said after it: its price, and when. ``judgement`` is how a
    quote was judged, from generation 2 of the fold on.
    """

    observation: Observation
    commit: int
    decision: Decision | None
    reject: Reject | None
    published: Mapping[bytes, bytes | None]
    words: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    judgement: Judgement | None = None


def observed(topic: str, shard: int, record: InputRecord) -> Observation:
    """Return a record of a raw topic as what it says."""
    said = _DECODERS[topic](record.value or b"")
    return Observation(
        topic, shard, record, None if isinstance(said, Malformed) else said
    )


class Alone:
    """The state of one owner, and of no other, carried on by its observations."""

    def __init__(
        self,
        shard: int,
        generations: Generations,
        records: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        self._state = ShardState.restore(shard, records)
        self._generations = generations

    def fold(
        self, topic: str, record: InputRecord, commit: Commit, *, key: Key | None
    ) -> Step:
        """Fold the next observation; say what that did to a key, or as a whole."""
        state = self._state
        owner = record.key or b""
        before = state.open(topic, owner)
        batch = self._fold_of(commit)(
            state,
            [(topic, [record])],
            settings=commit.settings,
            limits=UNLIMITED,
            log=log_of(commit),
        )
        batch.apply()
        seen = observed(topic, state.shard, record)
        return Step(
            seen,
            commit.commit,
            decision_on(key, seen.said, before, batch) if key else _whole(batch),
            _refusal(batch),
            {k or b"": value for k, value, _ in batch.entries[CHANGES]},
            self._words(owner) if topic == PRICES_RAW else {},
            _judged(record, before, batch) if topic == PRICES_RAW else None,
        )

    def carry(self, topic: str, records: Sequence[InputRecord], commit: Commit) -> None:
        """Fold the next observations at once, by the rules of one commit.

        What is left is the same as after folding each; what was decided is not told.
        """
        fold = self._fold_of(commit)
        inputs = [(topic, records)]
        fold(
            self._state,
            inputs,
            settings=commit.settings,
            limits=UNLIMITED,
            log=log_of(commit),
        ).apply()

    def _fold_of(self, commit: Commit) -> Fold:
        return fold_of(
            self._generations,
            commit.generation,
            shard=self._state.shard,
            commit=commit.commit,
        )

    def _words(self, owner: bytes) -> dict[str, tuple[str, int]]:
        token: TokenPrice = self._state.open(PRICES_RAW, owner)
        quotes = token.quotes.items()
        return {name: (quote.usd, quote.observed_at) for name, quote in quotes}


def _judged(record: InputRecord, before: TokenPrice, batch: Batch) -> Judgement | None:
    """Return how the quote in a record was judged; ``None`` if it was not applied."""
    settings, quote = batch.record.settings, read_price(record)
    is_judged = isinstance(settings, FoldSettings) and not batch.entries[REJECTS]
    if not is_judged or not isinstance(quote, Quote):
        return None
    return judge(before, quote, Rules.of(settings, shard=batch.record.shard))


def _whole(batch: Batch) -> Decision:
    """Return the decision on an observation; of several the first that counts most."""
    made = {Decision(name.partition(".")[2]) for name in batch.decisions}
    return next(decision for decision in Decision if decision in made)


def _refusal(batch: Batch) -> Reject | None:
    for _, value, _ in batch.entries[REJECTS]:
        reject: Reject = _reject(value or b"")
        return reject
    return None
