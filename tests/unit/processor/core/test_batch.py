"""A commit as a value: where it ends, what it writes, and the laws of it all."""

import json
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eventlog.port import Record
from processor.core.batch import NEWEST, Batch, FoldError, Limits, fold_batch
from processor.core.rules import Outcome
from processor.core.shard_state import ShardState
from schemas.base import MAX_RECORD_BYTES, decoder, encode
from schemas.journal import CommitV2, FoldSettings, Origin, Position
from schemas.rejects import Reason, Reject
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
from tests.support.folding import (
    ALPHA,
    APPENDED_MS,
    SHARD,
    USER,
    Folding,
    Inputs,
    forgotten,
    holding,
    inputs_of,
    price,
    raw_of,
    reading,
    subnet,
    token,
)
from tests.support.worlds import Entry, entries
from tests.support.worlds import settings as any_settings

LIMITS = Limits()
PRICE_BYTES = len(encode(price("1", at=1)))
worlds = entries().filter(bool)
fold_settings = any_settings.map(
    lambda told: FoldSettings.model_validate_json(json.dumps(told))
)


def fold_all(
    state: ShardState,
    inputs: Inputs,
    settings: FoldSettings,
    limits: Limits = LIMITS,
) -> list[Batch]:
    batches = []
    while inputs:
        batch = fold_batch(state, inputs, settings=settings, limits=limits)
        inputs = batch.rest(inputs)
        batch.apply()
        batches.append(batch)
    return batches


def written(batches: Sequence[Batch], topic: str) -> list[tuple[Any, Any]]:
    return [(key, value) for b in batches for key, value, _ in b.entries[topic]]


def records(*values: Any) -> list[Record]:
    return [
        Record(offset, APPENDED_MS, event.contract_id.encode(), encode(event))
        for offset, event in enumerate(values)
    ]


# ---- laws


@given(worlds, fold_settings, st.integers(1, 9), st.integers(1, 9))
def test_where_commits_end_changes_no_published_byte(
    drawn: list[Entry], settings: FoldSettings, inputs: int, outputs: int
) -> None:
    whole = fold_all(ShardState(SHARD), inputs_of(drawn), settings)
    state = ShardState(SHARD)
    limits = Limits(inputs=inputs, outputs=outputs)
    split = fold_all(state, inputs_of(drawn), settings, limits)
    for topic in (LATEST, CHANGES, REJECTS):
        assert written(split, topic) == written(whole, topic)
    assert all(sum(batch.read.values()) <= inputs for batch in split)


@given(worlds, fold_settings, st.integers(1, 5))
def test_the_state_restored_at_any_cut_is_the_one_held(
    drawn: list[Entry], settings: FoldSettings, inputs: int
) -> None:
    state = ShardState(SHARD)
    state.start_at(dict.fromkeys(RAW, 0))
    changelog: list[tuple[Any, Any]] = []
    left = inputs_of(drawn)
    while left:
        batch = fold_batch(state, left, settings=settings, limits=Limits(inputs=inputs))
        restored = ShardState.restore(SHARD, changelog)
        restored.start_at(dict.fromkeys(RAW, 0))
        again = fold_batch(
            restored, left, settings=settings, limits=Limits(inputs=inputs)
        )
        assert again.entries == batch.entries
        left = batch.rest(left)
        batch.apply()
        changelog += written([batch], STATE)
        restored = ShardState.restore(SHARD, changelog)
        assert sorted(restored.records()) == sorted(state.records())


@given(worlds, fold_settings)
def test_a_batch_that_is_dropped_leaves_the_state_as_it_was(
    drawn: list[Entry], settings: FoldSettings
) -> None:
    state, inputs = ShardState(SHARD), inputs_of(drawn)
    fold_all(state, [(topic, part[:1]) for topic, part in inputs], settings)
    before = sorted(state.records())
    left = [(topic, part[1:]) for topic, part in inputs if part[1:]]
    assume(left)
    first = fold_batch(state, left, settings=settings)
    assert sorted(state.records()) == before
    assert fold_batch(state, left, settings=settings).entries == first.entries


@given(worlds, fold_settings)
def test_what_is_read_again_publishes_nothing(
    drawn: list[Entry], settings: FoldSettings
) -> None:
    """Prices and tokens; a balance is only sure of its newest reading of an account."""
    market = [entry for entry in drawn if entry[0] != BALANCES_RAW]
    state = ShardState(SHARD)
    fold_all(state, inputs_of(market), settings)
    again = fold_all(state, inputs_of(market), settings)
    assert written(again, CHANGES) == []


@given(worlds, fold_settings)
def test_each_record_of_state_is_written_once_a_commit(
    drawn: list[Entry], settings: FoldSettings
) -> None:
    (batch,) = fold_all(ShardState(SHARD), inputs_of(drawn), settings)
    keys = [key for key, _ in written([batch], STATE)]
    assert len(keys) == len(set(keys))
    assert keys[-1] == b"position"


# ---- what a commit holds


def test_a_commit_names_what_it_read_decided_and_wrote() -> None:
    inputs = [
        (TOKENS_RAW, records(token(name="a"))),
        (PRICES_RAW, records(price("1"), price("2", at=2), price("3", at=1))),
    ]
    state = ShardState(SHARD)
    batch = fold_batch(state, inputs, settings=FoldSettings())
    assert batch.consumed == {PRICES_RAW: 3, TOKENS_RAW: 1}
    assert batch.decisions == {
        "prices.published": 2,
        "prices.stale": 1,
        "tokens.published": 1,
    }
    assert [key for key, _ in written([batch], LATEST)] == [
        f"price:{ALPHA}".encode(),
        f"price:{ALPHA}".encode(),
        f"token:{ALPHA}".encode(),
    ]
    ((key, value),) = written([batch], JOURNAL)
    assert (key, decoder(CommitV2)(value)) == (b"3", batch.record)
    assert list(batch.record.inputs) == [PRICES_RAW, TOKENS_RAW]
    assert batch.entries[CHANGES][0][2] == (("commit", b"1"),)
    batch.apply()
    position = decoder(Position)(written([batch], STATE)[-1][1])
    assert (position, position.commit) == (state.position, 1)
    assert position.log_time == APPENDED_MS


def test_the_next_commit_goes_on_from_the_one_before() -> None:
    state, events = ShardState(SHARD), records(price("1"), price("2", at=2))
    state.start_at({PRICES_RAW: 0})
    first, second = fold_all(
        state, [(PRICES_RAW, events)], FoldSettings(), Limits(inputs=1)
    )
    assert second.record.commit == 2
    assert second.record.inputs[PRICES_RAW].start == 1
    assert (
        second.record.previous
        == decoder(Position)(written([first], STATE)[-1][1]).chain
    )


def test_log_time_never_steps_back() -> None:
    state = ShardState(SHARD)
    (one, two) = records(price("1"), price("2", at=2))
    later: Inputs = [(PRICES_RAW, [one._replace(time_ms=APPENDED_MS + 5), two])]
    first, second = fold_all(state, later, FoldSettings(), Limits(inputs=1))
    assert first.record.log_time == second.record.log_time == APPENDED_MS + 5


@pytest.mark.parametrize(
    ("limits", "read"),
    [
        pytest.param(Limits(inputs=2), 2, id="inputs"),
        pytest.param(Limits(outputs=3), 3, id="outputs"),
        pytest.param(Limits(size_bytes=1), 1, id="bytes, at least one input"),
        pytest.param(Limits(input_bytes=1), 1, id="bytes read, at least one input"),
        pytest.param(Limits(input_bytes=PRICE_BYTES), 1, id="bytes of one input"),
        pytest.param(Limits(input_bytes=PRICE_BYTES + 1), 2, id="bytes of two inputs"),
        pytest.param(Limits(), 4, id="all"),
    ],
)
def test_a_commit_ends_at_a_limit(limits: Limits, read: int) -> None:
    prices = records(*(price(f"{n}", at=n) for n in range(1, 5)))
    inputs = [(PRICES_RAW, prices), (TOKENS_RAW, records(token()))]
    batch = fold_batch(
        ShardState(SHARD), inputs, settings=FoldSettings(), limits=limits
    )
    assert batch.read[PRICES_RAW] == read
    assert (TOKENS_RAW in batch.read) == (limits == Limits())


def test_an_unchanged_reading_writes_the_account_alone() -> None:
    folding, batches = Folding(), []
    for at in (1, 2):
        value = encode(reading(at, holding(ALPHA, 5)))
        record = Record(at, APPENDED_MS, USER.encode(), value)
        batch = fold_batch(
            folding.state, [(BALANCES_RAW, [record])], settings=FoldSettings()
        )
        batch.apply()
        batches.append(batch)
    keys = [key for key, _ in written(batches[1:], STATE)]
    assert keys == [f"account:{USER}".encode(), b"position"]


# ---- refused input


@pytest.mark.parametrize(
    ("late_ms", "refused"),
    [
        pytest.param(60_000, (), id="at it"),
        pytest.param(60_001, ("future",), id="past"),
    ],
)
def test_the_future_is_refused_past_the_tolerance(
    late_ms: int, refused: tuple[str, ...]
) -> None:
    told = Folding().tell(price("1", at=APPENDED_MS + late_ms))
    assert told.refused == refused


def test_the_future_is_looked_at_before_a_conflict_and_after_the_schema() -> None:
    folding = Folding()
    folding.tell(price("1", at=APPENDED_MS))
    said = price("2", at=APPENDED_MS)
    assert folding.tell(said, time_ms=1).refused == ("future",)
    told = folding.read(PRICES_RAW, b"other", encode(said), 1)
    assert told.refused == ("schema",)


def test_a_reject_says_where_why_and_what() -> None:
    record = Record(9, APPENDED_MS, b"k" * 2_000, b"\xff" * 70_000)
    inputs = [(PRICES_RAW, [record])]
    batch = fold_batch(ShardState(SHARD), inputs, settings=FoldSettings())
    ((key, value),) = written([batch], REJECTS)
    reject = decoder(Reject)(value)
    assert key == b"k" * 1_024
    assert reject.origin == Origin(PRICES_RAW, SHARD, 9)
    assert (reject.reason, reject.field, reject.size) == (Reason.SCHEMA, "", 70_000)
    assert b64decode(reject.original) == b"\xff" * 65_536
    assert batch.record.rejects.count == 1


def test_a_record_without_key_and_value_is_refused() -> None:
    inputs = [(TOKENS_RAW, [Record(0, 1, None, None)])]
    batch = fold_batch(ShardState(SHARD), inputs, settings=FoldSettings())
    ((key, value),) = written([batch], REJECTS)
    assert (key, decoder(Reject)(value).size) == (None, 0)


def test_a_refused_observation_of_a_stranger_leaves_nothing() -> None:
    folding = Folding()
    folding.tell(subnet(1, -1))
    assert [key for key, _ in folding.state.records()] == [b"position"]


# ---- bugs, and what cannot be


def test_a_bug_names_the_record() -> None:
    def broken(*_: object) -> Outcome:
        raise ZeroDivisionError

    folds = {**NEWEST.folds, PRICES_RAW: broken}
    inputs = [(PRICES_RAW, [Record(77, 1, b"", None), *records(price("1"))])]
    with pytest.raises(FoldError, match=r"prices.raw\[3\] at offset 0") as failed:
        fold_batch(
            ShardState(SHARD),
            inputs,
            settings=FoldSettings(),
            generation=replace(NEWEST, folds=folds),
        )
    assert isinstance(failed.value.__cause__, ZeroDivisionError)


def test_no_record_outgrows_the_log() -> None:
    """The largest texts there may be, of as many sources as there may be."""
    texts = ("name", "symbol", "type", "identifier", "description", "image")
    more = ("token_uri", "token_a_contract", "token_b_contract")
    last = ("external_pool_id", "engine_contract_id")
    fields: dict[str, Any] = dict.fromkeys((*texts, *more, *last), "\x01" * 8_192)
    state, batches = ShardState(SHARD), []
    for n in range(64):
        event = token("s" * 60 + f"{n}", at=n, **(fields if n < 2 else {}))
        record = Record(2**53 - 65 + n, APPENDED_MS, ALPHA.encode(), encode(event))
        inputs: Inputs = [(TOKENS_RAW, [record])]
        batches += fold_all(state, inputs, FoldSettings())
    sizes = [
        len(key or b"") + len(value or b"")
        for topic in (LATEST, STATE, JOURNAL)
        for key, value in written(batches, topic)
    ]
    assert max(sizes) < MAX_RECORD_BYTES - 1_024


def test_forgetting_and_reading_again_keeps_the_version_going() -> None:
    folding = Folding()
    told = folding.tell_all(
        [reading(1, holding(ALPHA, 1)), forgotten(2), reading(3, holding(ALPHA, 1))]
    )
    (value,) = told.values.values()
    assert getattr(value, "version", None) == 2


# ---- how new the observations are


def test_the_newest_observation_of_each_topic_is_told_whatever_came_of_it() -> None:
    told = [
        price("1", at=5),
        price("1", at=9),
        price("2", at=7),
        reading(3, holding(ALPHA, 1)),
        token(at=4),
    ]
    (batch,) = fold_all(
        ShardState(SHARD), inputs_of([raw_of(each) for each in told]), FoldSettings()
    )
    assert batch.observed_ms == {PRICES_RAW: 9, BALANCES_RAW: 3, TOKENS_RAW: 4}


def test_refused_observations_and_forgotten_users_are_not_observed() -> None:
    future = APPENDED_MS + FoldSettings().future_tolerance_ms + 1
    told = [
        raw_of(price("1", at=5)),
        raw_of(price("1", at=future)),
        (PRICES_RAW, b"x", b"{"),
        raw_of(reading(3, holding(ALPHA, 1))),
        raw_of(forgotten(8)),
    ]
    (batch,) = fold_all(ShardState(SHARD), inputs_of(told), FoldSettings())
    assert batch.observed_ms == {PRICES_RAW: 5, BALANCES_RAW: 3}
    (batch,) = fold_all(
        ShardState(SHARD), inputs_of([(PRICES_RAW, b"x", b"{")]), FoldSettings()
    )
    assert batch.observed_ms == {}
