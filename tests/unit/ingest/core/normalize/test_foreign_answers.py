"""Whatever an upstream sends: no reader raises, and a bad row costs that row alone."""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core.normalize.body import MAX_ROWS, Unusable
from ingest.core.normalize.prices import SOURCES, PriceList
from ingest.core.normalize.tokens import TokenList, charisma, hiro
from tests.support.foreign import (
    ALFA,
    BETA,
    FOREIGN,
    GAMMA,
    MAIN,
    ODD_NUMBERS,
    ODD_VALUES,
    Raw,
    dumps,
    garbled,
    mutated,
    paths,
    replaced,
)

ROWS = {
    "stxtools": ("data",),
    "internal": ("data",),
    "charisma": (),
    "hiro tokens": ("results",),
}
numbers = st.one_of(
    st.integers(-(10**60), 10**60).map(str),
    st.tuples(st.integers(-(10**60), 10**60), st.integers(-(10**9), 10**9)).map(
        lambda parts: f"{parts[0]}e{parts[1]}"
    ),
    st.sampled_from(ODD_NUMBERS),
)


@pytest.mark.parametrize("name", FOREIGN)
def test_the_valid_answer_is_read(name: str) -> None:
    found = FOREIGN[name].read(dumps(FOREIGN[name].valid))
    assert not isinstance(found, Unusable) or name == "failed call"


@pytest.mark.parametrize("name", FOREIGN)
@given(number=numbers)
def test_no_number_anywhere_makes_a_reader_raise(name: str, number: str) -> None:
    foreign = FOREIGN[name]
    for path in paths(foreign.valid):
        foreign.read(dumps(replaced(foreign.valid, path, Raw(number))))


@pytest.mark.parametrize("name", FOREIGN)
def test_no_odd_value_anywhere_makes_a_reader_raise(name: str) -> None:
    foreign = FOREIGN[name]
    odd = [*ODD_VALUES, *map(Raw, ODD_NUMBERS), Raw("[" * 900 + "]" * 900)]
    for path in paths(foreign.valid):
        for value in odd:
            foreign.read(dumps(replaced(foreign.valid, path, value)))


@pytest.mark.parametrize("name", FOREIGN)
@given(seed=st.integers(0, 2**32))
def test_no_mutation_of_a_valid_answer_makes_a_reader_raise(
    name: str, seed: int
) -> None:
    foreign, random = FOREIGN[name], Random(seed)
    body = dumps(mutated(foreign.valid, random))
    foreign.read(body)
    foreign.read(garbled(body, random))


@pytest.mark.parametrize("name", FOREIGN)
@given(body=st.binary(max_size=60))
def test_no_bytes_make_a_reader_raise(name: str, body: bytes) -> None:
    FOREIGN[name].read(body)


@pytest.mark.parametrize("name", ROWS)
@given(seed=st.integers(0, 2**32))
def test_a_spoilt_row_costs_that_row_alone(name: str, seed: int) -> None:
    valid, path = FOREIGN[name].valid, (*ROWS[name], 1)
    spoilt = mutated(_at(valid, path), Random(seed))
    assert {ALFA, GAMMA} <= ids(name, dumps(replaced(valid, path, spoilt)))


@given(number=numbers)
def test_a_spoilt_price_of_kraxel_costs_that_price_alone(number: str) -> None:
    body = dumps({**FOREIGN["kraxel"].valid, GAMMA: Raw(number)})
    assert {".stx", ALFA, BETA} <= ids("kraxel", body)


@pytest.mark.parametrize("name", [*SOURCES, "charisma", "hiro tokens"])
@pytest.mark.parametrize("count", [MAX_ROWS, MAX_ROWS + 1])
def test_a_list_longer_than_any_of_ours_is_unusable(name: str, count: int) -> None:
    valid = FOREIGN[name].valid
    if name == "kraxel":
        body = dumps({str(number): 1 for number in range(count)})
    else:
        body = dumps(replaced(valid, ROWS[name], [0] * count))
    found = FOREIGN[name].read(body)
    assert isinstance(found, Unusable) is (count > MAX_ROWS)


def _at(said: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        said = said[step]
    return said


def ids(name: str, body: bytes) -> set[str]:
    """Return the contracts that an answer still says something about."""
    if name in SOURCES:
        listed = SOURCES[name](body, MAIN)
        assert isinstance(listed, PriceList)
        return {said.contract_id for said in listed.prices}
    tokens = (charisma if name == "charisma" else hiro)(body, MAIN)
    assert isinstance(tokens, TokenList)
    return {said.contract_id for said in tokens.tokens}
