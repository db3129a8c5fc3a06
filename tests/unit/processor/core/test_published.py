"""What must stand in ``latest``, judged by what a shard remembers."""

from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.core.batch import fold_batch
from processor.core.published import disagreements, missing, version_of
from processor.core.shard_state import ShardState
from schemas.base import Event, canonical
from schemas.journal import FoldSettings
from schemas.latest import balance_key, price_key, token_key
from schemas.topics import LATEST
from tests.support.folding import (
    ALPHA,
    SHARD,
    USER,
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


def folded(inputs: Inputs) -> tuple[ShardState, dict[bytes, bytes]]:
    """Return the state after ``inputs``, and what stands in ``latest`` then."""
    state = ShardState(SHARD)
    batch = fold_batch(state, inputs, settings=FoldSettings())
    batch.apply()
    latest: dict[bytes, bytes] = {}
    for key, value, _ in batch.entries[LATEST]:
        if value is None:
            latest.pop(key or b"", None)
        else:
            latest[key or b""] = value
    return state, latest


def versions_in(latest: dict[bytes, bytes]) -> dict[bytes, int]:
    return {key: version_of(value) for key, value in latest.items()}


@given(entries().filter(bool), st.data())
def test_nothing_is_missing_until_a_value_is_lost(
    drawn: Sequence[Entry], data: st.DataObject
) -> None:
    state, latest = folded(inputs_of(drawn))
    found = versions_in(latest)
    assert list(missing(state, found)) == []
    if found:
        lost = data.draw(st.sampled_from(sorted(found)))
        found[lost] -= 1
        assert set(missing(state, found)) <= {lost}
        assert set(missing(state, {})) <= set(latest)


def test_a_value_of_each_kind_is_missed_when_it_is_gone_or_old() -> None:
    observations = [
        price("1", at=1),
        price("2", at=2),
        token(name="Alpha"),
        reading(1, holding(ALPHA, 5)),
    ]
    state, latest = folded(inputs_of([raw_of(each) for each in observations]))
    keys = {price_key(ALPHA), token_key(ALPHA), balance_key(USER, ALPHA)}
    assert set(latest) == keys
    assert set(missing(state, {})) == keys
    older = {**versions_in(latest), price_key(ALPHA): 1}
    assert list(missing(state, older)) == [price_key(ALPHA)]


def test_a_balance_that_was_withdrawn_or_is_an_empty_subnet_is_not_missed() -> None:
    withdrawn = [reading(1, holding(ALPHA, 5)), forgotten(2)]
    state, latest = folded(inputs_of([raw_of(each) for each in withdrawn]))
    assert latest == {}
    assert list(missing(state, {})) == []
    state, _ = folded(inputs_of([raw_of(subnet(1, 0))]))
    assert list(missing(state, {})) == []
    state, _ = folded(inputs_of([raw_of(subnet(1, 7))]))
    assert list(missing(state, {})) == [balance_key(USER, ALPHA)]


@pytest.mark.parametrize("value", [b"", b"\xff", b"[1]", b"{}", b'{"version":"2"}'])
def test_what_cannot_be_read_has_no_version(value: bytes) -> None:
    assert version_of(value) == 0


@given(entries().filter(bool), st.data())
def test_a_table_and_the_state_agree_until_one_of_them_is_changed(
    drawn: Sequence[Entry], data: st.DataObject
) -> None:
    state, latest = folded(inputs_of(drawn))
    assert list(disagreements(state, latest)) == []
    if not latest:
        return
    key = data.draw(st.sampled_from(sorted(latest)))
    said = orjson.loads(latest[key])
    others = [None, b"junk", b"[]", b"5", b"{}"]
    others += [canonical(said | {"version": said["version"] + 1})]
    for other in others:
        changed = {**latest, key: other} if other else {**latest}
        if other is None:
            del changed[key]
        (found,) = disagreements(state, changed)
        assert (found.key, found.published) == (key, other)
        assert found.remembered is not None


@pytest.mark.parametrize(
    ("event", "old", "new"),
    [
        (price("1.5"), b'"usd":"1.5"', b'"usd":"1.6"'),
        (token(name="Alpha"), b'"name":"Alpha"', b'"name":"Beta"'),
        (reading(1, holding(ALPHA, 5)), b'"balance":"5"', b'"balance":"6"'),
        (subnet(1, 5), b'"balance":"5"', b'"balance":"6"'),
    ],
    ids=["price", "token", "mainnet", "subnet"],
)
def test_a_value_that_was_changed_alone_disagrees_with_the_state(
    event: Event, old: bytes, new: bytes
) -> None:
    state, latest = folded(inputs_of([raw_of(event)]))
    ((key, value),) = latest.items()
    assert old in value
    (found,) = disagreements(state, {key: value.replace(old, new)})
    assert found.key == key


def test_a_key_that_no_state_has_published_is_one_too_many() -> None:
    state, latest = folded(inputs_of([raw_of(price("1.5"))]))
    (found,) = disagreements(state, {**latest, b"price:other": b"{}"})
    assert found == (b"price:other", None, b"{}")
    (found,) = disagreements(state, {**latest, b"foo:bar": b"{}"})
    assert found.key == b"foo:bar"


@pytest.mark.parametrize("value", [b"junk", b"[]", b"{}", b'{"usd":"1.5"}'])
def test_a_state_that_cannot_be_read_agrees_with_nothing(value: bytes) -> None:
    state, latest = folded(inputs_of([raw_of(price("1.5"))]))
    state.load(price_key(ALPHA), value)
    (found,) = disagreements(state, latest)
    assert (found.key, found.remembered) == (price_key(ALPHA), value)
