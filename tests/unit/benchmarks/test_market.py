"""The made-up observations: what they are said to be, whatever folds them."""

from itertools import islice

import pytest

from benchmarks.market import SOURCES, observations
from benchmarks.restoring import balances
from eventlog.port import Record
from processor.core.batch import Limits, fold_batch
from processor.core.shard_state import ShardState
from schemas.journal import FoldSettings
from schemas.topics import BALANCES_RAW, LATEST, PRICES_RAW

COUNT = 6_000


def test_close_to_half_of_the_observations_change_the_price() -> None:
    said = list(observations(COUNT, tokens=20))
    records = [Record(n, 2**42, key, value) for n, (key, value) in enumerate(said)]
    batch = fold_batch(
        ShardState(0),
        [(PRICES_RAW, records)],
        settings=FoldSettings(),
        limits=Limits(COUNT, COUNT, 2**30),
    )
    assert batch.decisions.keys() == {"prices.published", "prices.unchanged"}
    assert len(batch.entries[LATEST]) / COUNT == pytest.approx(0.5, abs=0.03)


def test_a_third_is_said_by_each_source() -> None:
    said = b"".join(value for _, value in observations(COUNT, tokens=20))
    assert {said.count(b'"%b"' % name.encode()) for name in SOURCES} == {COUNT // 3}


def test_they_are_the_same_each_time() -> None:
    assert list(observations(500)) == list(observations(500))


def test_made_up_states_can_be_read() -> None:
    state = ShardState.restore(0, [(e.key or b"", e.value) for e in balances(120)])
    assert len(state) == 120
    owner = next(islice(balances(1), 1)).key or b""
    user = state.open(BALANCES_RAW, owner.split(b":")[1])
    assert len(user.layers) == 50
