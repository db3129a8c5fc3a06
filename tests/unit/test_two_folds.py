"""The processor's fold and the second one say the same, wherever commits end."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.core.batch import Batch, Limits
from processor.core.generations import GENERATIONS
from processor.core.shard_state import ShardState
from schemas.journal import FoldSettings
from schemas.topics import CHANGES, JOURNAL, LATEST, RAW, REJECTS, STATE
from tests.support.oracle.derive import DEFAULTS, Raw, RawRecord, derive
from tests.support.oracle.journal import verify_journal
from tests.support.pipeline import told
from tests.support.worlds import APPENDED_MS, Entry, accounts, entries, quotes
from tests.support.worlds import settings as any_settings

SHARD = 0


def raw_of(drawn: Sequence[Entry]) -> Raw:
    raw: dict[tuple[str, int], list[RawRecord]] = {(topic, SHARD): [] for topic in RAW}
    for topic, key, value in drawn:
        records = raw[topic, SHARD]
        records.append(RawRecord(len(records), APPENDED_MS, key, value))
    return raw


def folded(
    raw: Raw, shard: int, settings: dict[str, Any], inputs: int, generation: int
) -> list[Batch]:
    """Fold with the processor, ``inputs`` a commit, from a new state each time."""
    limits = Limits(inputs=inputs, outputs=5_000, size_bytes=4 * 2**20)
    told = {**settings, "tokenSources": tuple(settings["tokenSources"])}
    fold_settings = FoldSettings.model_validate(told)
    left = {topic: list(raw[topic, shard]) for topic in RAW}
    changelog: list[tuple[bytes, bytes | None]] = []
    batches: list[Batch] = []
    state = ShardState.restore(shard, changelog)
    state.start_at(dict.fromkeys(RAW, 0))
    while any(left.values()):
        ready = [(topic, left[topic]) for topic in RAW if left[topic]]
        fold = GENERATIONS[generation]
        batch = fold(state, ready, settings=fold_settings, limits=limits)
        batches.append(batch)
        for topic, count in batch.read.items():
            del left[topic][:count]
        if inputs > 1_000:
            batch.apply()
        else:
            changelog += [(key, value) for key, value, _ in batch.entries[STATE] if key]
            state = ShardState.restore(shard, changelog)
            state.start_at(dict.fromkeys(RAW, 0))
    return batches


def written(batches: Sequence[Batch], topic: str) -> list[tuple[bytes | None, Any]]:
    return [(k, v) for b in batches for k, v, _ in b.entries.get(topic, ())]


def check(
    raw: Raw,
    shard: int,
    settings: dict[str, Any],
    inputs: int,
    *,
    generation: int = 2,
) -> None:
    expected = derive(raw, settings, generation=generation)[shard]
    batches = folded(raw, shard, settings, inputs, generation)
    assert per_key(written(batches, CHANGES)) == expected.per_key()
    assert per_key(written(batches, LATEST)) == expected.per_key()
    assert sorted(written(batches, REJECTS), key=repr) == sorted(
        expected.rejects, key=repr
    )
    decisions = sum((Counter(batch.decisions) for batch in batches), Counter())
    assert decisions == expected.decisions
    told = verify_journal(
        [value for _, value in written(batches, JOURNAL)],
        raw,
        written(batches, CHANGES),
        written(batches, REJECTS),
        partition=shard,
        settings=settings if generation > 1 else of_generation_1(settings),
    )
    assert told == decisions


def of_generation_1(settings: dict[str, Any]) -> dict[str, Any]:
    newer = {"priceFrozenMs", "priceJumpFactor"}
    return {name: value for name, value in settings.items() if name not in newer}


def per_key(
    records: Sequence[tuple[bytes | None, Any]],
) -> dict[bytes | None, list[bytes | None]]:
    found: dict[bytes | None, list[bytes | None]] = {}
    for key, value in records:
        found.setdefault(key, []).append(value)
    return found


generations = st.sampled_from([1, 2])


@given(entries(), any_settings, st.sampled_from([1, 2, 7, 5_000]), generations)
def test_both_folds_say_the_same_of_any_small_world(
    drawn: list[Entry], settings: dict[str, Any], inputs: int, generation: int
) -> None:
    check(raw_of(drawn), SHARD, settings, inputs, generation=generation)


@given(accounts(), st.sampled_from([1, 3, 5_000]), generations)
def test_both_folds_say_the_same_of_one_account(
    drawn: list[Entry], inputs: int, generation: int
) -> None:
    check(raw_of(drawn), SHARD, DEFAULTS, inputs, generation=generation)


@given(quotes(), st.sampled_from([1, 3, 5_000]))
def test_both_folds_say_the_same_of_the_quotes_of_one_token(
    drawn: list[Entry], inputs: int
) -> None:
    settings = {**DEFAULTS, "futureToleranceMs": 2**52}
    check(raw_of(drawn), SHARD, settings, inputs)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("shard", [0, 1, 2])
def test_both_folds_say_the_same_of_the_real_history(shard: int) -> None:
    raw = {at: records for at, records in told().raw.items() if at[1] == shard}
    check(raw, shard, DEFAULTS, 5_000)
