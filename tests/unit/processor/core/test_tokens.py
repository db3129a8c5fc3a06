"""The token fold: tables of cases."""

import pytest

from schemas.journal import Origin
from schemas.states import MAX_SOURCES
from schemas.tokens import Token, TokenFields, TokenObserved
from tests.support.folding import SHARD, Folding, token

KEY = "token:ALPHA"


@pytest.mark.parametrize(
    ("second", "decision"),
    [
        pytest.param(token(at=6, name="b"), "published", id="another word"),
        pytest.param(token(at=6, name="a"), "unchanged", id="the same word, later"),
        pytest.param(token(at=5, name="a"), "duplicate", id="the same word again"),
        pytest.param(token(at=5, name="b"), "rejected", id="same moment, other word"),
        pytest.param(token(at=4, name="b"), "stale", id="earlier"),
        pytest.param(token("x", at=1, name="b"), "unchanged", id="of a lower source"),
        pytest.param(token("x", at=1, symbol="B"), "published", id="something new"),
        pytest.param(token("contract", at=1, name="b"), "published", id="of a higher"),
    ],
)
def test_a_second_word(second: TokenObserved, decision: str) -> None:
    folding = Folding()
    assert folding.tell(token(at=5, name="a")).decisions == {"published": 1}
    assert folding.tell(second).decisions == {decision: 1}


def test_a_token_of_which_nothing_is_said_is_published() -> None:
    told = Folding().tell(token())
    assert told.decisions == {"published": 1}


def test_other_fields_at_the_same_moment_are_a_conflict() -> None:
    told = Folding().tell_all([token(name="a"), token(name="b")])
    assert told.refused == ("conflict",)


def test_of_each_field_the_first_source_that_has_one_counts() -> None:
    folding = Folding(token_sources=("y", "absent", "x"))
    told = folding.tell_all(
        [
            token("x", at=3, name="x", symbol="X"),
            token("b", at=9, name="b", symbol="B", decimals=1, verified=True),
            token("a", at=2, decimals=0, verified=False),
            token("y", at=1, name="y"),
        ]
    )
    value = told.values[KEY]
    assert isinstance(value, Token)
    assert value.fields == TokenFields(name="y", symbol="X", decimals=0, verified=False)
    assert (value.observed_at, value.version) == (9, 4)
    # Those of all words in the order of their sources: a, b, x, y.
    assert value.origins == tuple(Origin("tokens.raw", SHARD, n) for n in (2, 1, 0, 3))


def test_a_token_takes_the_words_of_so_many_sources() -> None:
    folding = Folding()
    told = folding.tell_all([token(f"s{n}") for n in range(MAX_SOURCES + 1)])
    assert told.refused == ("full",)
    assert folding.tell(token("s0", at=2)).decisions == {"unchanged": 1}
