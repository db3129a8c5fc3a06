"""Ids as a server writes them, and what a selection selects."""

from typing import Any

import pytest

from stacks_feed_client.core.ids import (
    ALL,
    EVERYTHING,
    MAX_ID,
    normal,
    selection,
    selects,
)

ANNE = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param("stx", ".stx", id="stx"),
        pytest.param(".stx", ".stx", id="stx in normal form"),
        pytest.param(ANNE.lower(), ANNE, id="small letters"),
        pytest.param(ANNE.replace("0", "O"), ANNE, id="a letter like a digit"),
        pytest.param("nonsense", "nonsense", id="no id"),
        pytest.param(f"{ANNE}.Il-o::cha", f"{ANNE}.Il-o", id="names stay, assets go"),
    ],
)
def test_an_id_is_written_as_a_server_answers(written: str, read: str) -> None:
    assert normal(written) == read


def test_no_ids_mean_all() -> None:
    assert selection(()) == EVERYTHING
    assert selection(("stx", ".stx")) == {".stx"}


def test_all_selects_everything_and_an_id_itself() -> None:
    assert selects(EVERYTHING, "a")
    assert selects(frozenset({"a", ALL}), "b")
    assert selects(frozenset({"a"}), "a")
    assert not selects(frozenset({"a"}), "b")


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ("*", ValueError),
        ("*::x", ValueError),
        ("S" * (MAX_ID + 1), ValueError),
        (["stx"], TypeError),
    ],
    ids=["all", "all of it", "long", "list"],
)
def test_what_cannot_be_sent_is_no_id(wrong: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="id"):
        selection(["stx", wrong])


def test_the_longest_id_there_is_can_be_sent() -> None:
    longest = f"{'S' * 41}.{'c' * 40}::{'a' * 128}"
    assert selection([longest]) == {longest.partition("::")[0]}
