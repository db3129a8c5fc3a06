"""A commit as a value: what it reads, decides and writes, before anything is written."""

from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, takewhile
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeVar

from schemas.balances import UserForgotten
from schemas.base import encode
from schemas.journal import (
    GENESIS,
    Commit,
    CommitV1,
    CommitV2,
    Decision,
    FoldSettings,
    FoldSettingsV1,
    Origin,
    Position,
)
from schemas.rejects import MAX_KEY_BYTES, MAX_ORIGINAL_BYTES, Reject
from schemas.states import POSITION_KEY
from schemas.topics import (
    BALANCES_RAW,
    CHANGES,
    JOURNAL,
    LATEST,
    PRICES_RAW,
    RAW,
    REJECTS,
    STATE,
    TOKENS_RAW,
)

from . import balances, prices, prices_v1, tokens
from .journal import InputRecord, input_range, link_of, output_digest
from .observations import READERS, Said
from .prices import Quote
from .rules import FUTURE, Outcome, Published, Refused, Rules
from .shard_state import KINDS, KINDS_V1, Kinds, ShardState

_decisions_of: Final = attrgetter("decisions")
_time_of: Final = attrgetter("time_ms")
_value_of: Final = attrgetter("value")
_REJECTED = Outcome((Decision.REJECTED,))

Headers = Sequence[tuple[str, bytes]]
Output = tuple[bytes | None, bytes | None, Headers]
R = TypeVar("R", bound=InputRecord)
Inputs = Sequence[tuple[str, Sequence[R]]]
# Topic, owner, part and new value of a part of a state; ``None`` takes it away.
_Part = tuple[str, bytes, bytes, bytes | None]
# Stands for the identity of a log that has none.
NO_LOG: Final = GENESIS


class Limits(NamedTuple):
    """Where a commit ends, after the input that reaches one of them.

    ``size_bytes`` counts what is published and rejected, ``input_bytes`` the values that
    are read: one commit must not keep everything else waiting.
    """

    inputs: int = 5_000
    outputs: int = 5_000
    size_bytes: int = 4 * 2**20
    input_bytes: int = 4 * 2**20


class FoldError(Exception):
    """The fold itself failed on a record: a bug, not a matter of the record."""

    def __init__(self, topic: str, *, shard: int, offset: int) -> None:
        super().__init__(f"the fold failed on {topic}[{shard}] at offset {offset}")
        self.topic, self.shard, self.offset = topic, shard, offset


Folds = Mapping[str, Callable[[Any, Any, Rules], Outcome | Refused]]


@dataclass(frozen=True, slots=True)
class Generation:
    """One version of the fold.

    A change of what it derives needs a new generation; the old one is kept, so that what
    it wrote can be derived again. ``folds`` and ``kinds`` are by topic. ``record`` and
    ``settings`` are the models of its journal record and of the settings in that.
    """

    number: int
    folds: Folds
    kinds: Kinds
    record: type[CommitV1 | CommitV2]
    settings: type[FoldSettingsV1]

    def settings_of(self, settings: FoldSettingsV1) -> FoldSettingsV1:
        """Return settings of any generation as those of this one.

        What this one does not know is left out, what the other did not know is as it is
        by default.
        """
        if type(settings) is self.settings:
            return settings
        names = self.settings.model_fields.keys() & type(settings).model_fields.keys()
        known = {name: getattr(settings, name) for name in names}
        return self.settings(**known)


GENERATION_1: Final = Generation(
    number=1,
    folds={
        PRICES_RAW: prices_v1.fold,
        BALANCES_RAW: balances.fold,
        TOKENS_RAW: tokens.fold,
    },
    kinds=KINDS_V1,
    record=CommitV1,
    settings=FoldSettingsV1,
)
GENERATION_2: Final = Generation(
    number=2,
    folds={
        PRICES_RAW: prices.fold,
        BALANCES_RAW: balances.fold,
        TOKENS_RAW: tokens.fold,
    },
    kinds=KINDS,
    record=CommitV2,
    settings=FoldSettings,
)
# The one that new commits are written by.
NEWEST: Final = GENERATION_2


@dataclass(frozen=True, slots=True)
class Batch:
    """One commit, not yet made: what it writes, and what the state is after it.

    ``entries`` are all that goes into the transaction, by topic. ``read`` counts the
    inputs taken of each topic, ``consumed`` is the next position of each. ``observed_ms``
    is the newest ``observedAt`` of each topic among the observations that were not
    refused; a user who was forgotten was not observed.
    """

    record: Commit
    entries: Mapping[str, Sequence[Output]]
    decisions: Mapping[str, int]
    read: Mapping[str, int]
    consumed: Mapping[str, int]
    observed_ms: Mapping[str, int]
    _state: ShardState
    _changed: Mapping[str, Mapping[bytes, Any]]
    _parts: Sequence[_Part]
    _position: Position
    _kinds: Kinds

    def apply(self) -> None:
        """Make the state that of after the commit. Only once it is made."""
        self._state.replace(
            self._changed,
            parts=self._parts,
            position=self._position,
            kinds=self._kinds,
        )

    def changed_in(self, topic: str) -> Collection[Any]:
        """Return the states that observations of a topic have changed, as they are now."""
        return self._changed.get(topic, {}).values()

    def rest(self, inputs: Inputs[R]) -> list[tuple[str, Sequence[R]]]:
        """Return what of ``inputs``, of which this was folded, is still to be folded."""
        left = [
            (topic, records[self.read.get(topic, 0) :]) for topic, records in inputs
        ]
        return [(topic, records) for topic, records in left if records]


def fold_batch(
    state: ShardState,
    inputs: Inputs[R],
    *,
    settings: FoldSettingsV1,
    limits: Limits = Limits(),  # noqa: B008 - immutable
    log: str = NO_LOG,
    generation: Generation = NEWEST,
) -> Batch:
    """Fold what is next of ``inputs`` into one commit, as far as ``limits`` allow.

    ``inputs`` are the records of each topic from where ``state`` stands, at least one.
    ``log`` is the digest of the log's identity. ``state`` says the same as before until
    the batch is applied; a batch may be dropped. Raises ``FoldError``.
    """
    settings = generation.settings_of(settings)
    rules = Rules.of(settings, shard=state.shard)
    folding = _Folding(state, rules, limits, generation)
    read: dict[str, Sequence[InputRecord]] = {}
    for topic, records in sorted(inputs, key=lambda part: RAW.index(part[0])):
        if folding.full:
            break
        taken = folding.fold(topic, records)
        if taken:
            read[topic] = records[:taken]
    return _batch(state, folding, read, settings=settings, log=log)


class _Folding:
    """What one batch has done so far; it owns every state that it opened."""

    def __init__(
        self, state: ShardState, rules: Rules, limits: Limits, generation: Generation
    ) -> None:
        self._state, self._rules, self.generation = state, rules, generation
        self._inputs_left, self._outputs_left = limits.inputs, limits.outputs
        self._bytes_left = limits.size_bytes
        self._input_bytes_left = limits.input_bytes
        self.full = False
        self.opened: dict[str, dict[bytes, Any]] = {}
        self.published: list[Published] = []
        self.rejects: list[tuple[bytes | None, bytes]] = []
        self.decisions: dict[str, int] = {}
        self.observed_ms: dict[str, int] = {}
        # The newest observation time of the topic that is being folded.
        self._newest_ms = -1

    def fold(self, topic: str, records: Sequence[InputRecord]) -> int:
        """Fold records of a topic until one of the limits; return how many were."""
        records = self._next_of(records)
        fold_one = self._folder(topic)
        outcomes: list[Outcome] = []
        self._newest_ms = -1
        try:
            for record, seen in zip(records, READERS[topic](records), strict=True):
                outcome = fold_one(record, seen)
                outcomes.append(outcome)
                if outcome.published:
                    self._publish(outcome.published)
                if self.full:
                    break
        except Exception as error:
            offset = records[len(outcomes)].offset
            raise FoldError(topic, shard=self._rules.shard, offset=offset) from error
        self._inputs_left -= len(outcomes)
        if self._input_bytes_left <= 0:
            self.full = True
        if self._newest_ms >= 0:
            self.observed_ms[topic] = self._newest_ms
        self._count(topic, list(chain.from_iterable(map(_decisions_of, outcomes))))
        return len(outcomes)

    def _next_of(self, records: Sequence[InputRecord]) -> Sequence[InputRecord]:
        """Return as many records as may still be read, and count their bytes."""
        records = records[: self._inputs_left]
        before = self._input_bytes_left
        self._input_bytes_left -= sum(map(len, filter(None, map(_value_of, records))))
        if self._input_bytes_left > 0:
            return records
        sizes = accumulate(len(record.value or b"") for record in records)
        return records[: sum(1 for _ in takewhile(before.__gt__, sizes)) + 1]

    def _folder(self, topic: str) -> Callable[[InputRecord, Said], Outcome]:
        """Return a function that folds what a record says into what it is about."""
        fold, rules = self.generation.folds[topic], self._rules
        kinds = self.generation.kinds
        tolerance_ms = rules.future_tolerance_ms
        opened = self.opened.setdefault(topic, {})

        def fold_one(record: InputRecord, seen: Said) -> Outcome:
            if type(seen) is Refused:
                return self._reject(topic, record, seen)
            if seen.observed_at > record.time_ms + tolerance_ms:
                return self._reject(topic, record, FUTURE)
            # What is not refused has a key: its owner's id.
            owner = record.key or b""
            held = opened.get(owner)
            if held is None:
                held = opened[owner] = self._state.open(topic, owner, kinds)
            outcome = fold(held, seen, rules)
            if type(outcome) is Refused:
                return self._reject(topic, record, outcome)
            if seen.observed_at > self._newest_ms and (
                isinstance(seen, Quote) or type(seen.said) is not UserForgotten
            ):
                self._newest_ms = seen.observed_at
            return outcome

        return fold_one

    def _publish(self, published: Sequence[Published]) -> None:
        self.published += published
        for key, value in published:
            self._bytes_left -= len(key) + len(value or b"")
        self._outputs_left -= len(published)
        self._look_if_full()

    def _reject(self, topic: str, record: InputRecord, refused: Refused) -> Outcome:
        original = record.value or b""
        reject = Reject(
            origin=Origin(topic, self._rules.shard, record.offset),
            reason=refused.reason,
            field=refused.field,
            original=b64encode(original[:MAX_ORIGINAL_BYTES]).decode(),
            size=len(original),
        )
        value = encode(reject)
        self.rejects.append((record.key and record.key[:MAX_KEY_BYTES], value))
        self._bytes_left -= len(value)
        self._outputs_left -= 1
        self._look_if_full()
        return _REJECTED

    def _look_if_full(self) -> None:
        if self._bytes_left <= 0 or self._outputs_left <= 0:
            self.full = True

    def _count(self, topic: str, decided: Sequence[Decision]) -> None:
        kind, left = topic.removesuffix(".raw"), len(decided)
        # Comparing members one by one is quicker than hashing each; most are of the first.
        for what in Decision:
            if left and (count := decided.count(what)):
                self.decisions[f"{kind}.{what.value}"] = count
                left -= count


def _batch(
    state: ShardState,
    folding: _Folding,
    read: Mapping[str, Sequence[InputRecord]],
    *,
    settings: FoldSettingsV1,
    log: str,
) -> Batch:
    record = _record(state, folding, read, settings=settings, log=log)
    said = encode(record)
    consumed = {topic: part.end for topic, part in record.inputs.items()}
    position = Position(
        commit=record.commit,
        chain=link_of(said),
        log_time=record.log_time,
        positions={**state.position.positions, **consumed},
    )
    changed = {
        topic: {owner: held for owner, held in opened.items() if held.changed}
        for topic, opened in folding.opened.items()
    }
    parts = list(_parts(changed, folding.generation.kinds))
    return Batch(
        record=record,
        entries=_entries(folding, record, said, parts, position),
        decisions=folding.decisions,
        read={topic: len(records) for topic, records in read.items()},
        consumed=consumed,
        observed_ms=folding.observed_ms,
        _state=state,
        _changed=changed,
        _parts=parts,
        _position=position,
        _kinds=folding.generation.kinds,
    )


def _record(
    state: ShardState,
    folding: _Folding,
    read: Mapping[str, Sequence[InputRecord]],
    *,
    settings: FoldSettingsV1,
    log: str,
) -> Commit:
    before = state.position
    times = [max(map(_time_of, records)) for records in read.values()]
    generation = folding.generation
    facts: dict[str, Any] = {
        "shard": state.shard,
        "commit": before.commit + 1,
        "log_time": max(before.log_time, *times),
        "inputs": {
            topic: input_range(records, start=before.positions.get(topic, 0))
            for topic, records in read.items()
        },
        "decisions": folding.decisions,
        "published": output_digest(folding.published),
        "rejects": output_digest(folding.rejects),
        "settings": settings,
        "generation": generation.number,
        "previous": before.chain,
    }
    if "log" in generation.record.model_fields:
        facts["log"] = log
    return generation.record(**facts)


def _parts(changed: Mapping[str, Mapping[bytes, Any]], kinds: Kinds) -> Iterator[_Part]:
    for topic, states in changed.items():
        changes = kinds[topic].changes
        for owner, held in states.items():
            for part, value in changes(held):
                yield topic, owner, part, value


def _entries(
    folding: _Folding,
    record: Commit,
    said: bytes,
    parts: Sequence[_Part],
    position: Position,
) -> dict[str, list[Output]]:
    headers: Headers = (("commit", b"%d" % record.commit),)
    published: list[Output] = [
        (key, value, headers) for key, value in folding.published
    ]
    state: list[Output] = [
        (KINDS[topic].key(owner, part), value, ())
        for topic, owner, part, value in parts
    ]
    return {
        LATEST: published,
        CHANGES: published,
        REJECTS: [(key, value, ()) for key, value in folding.rejects],
        JOURNAL: [(b"%d" % record.shard, said, ())],
        STATE: [*state, (POSITION_KEY, encode(position), ())],
    }
