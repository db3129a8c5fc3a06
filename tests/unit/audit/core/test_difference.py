"""A difference in one line, around where it begins."""

import pickle

from audit.core.difference import Check, Difference, DifferenceFound, shown

BARE = Difference(Check.LATEST, 2, 7, "latest", "a", "b")


def test_a_difference_says_what_where_and_how_in_one_line() -> None:
    whole = Difference(
        Check.CHANGES, 2, 7, "changes", "a", "b", offset=5, key="k", hint="so it is"
    )
    assert f"{whole}" == (
        "changes differs in commit 7 of shard 2: changes[2] at offset 5, key k: "
        "expected a, found b (so it is)"
    )
    assert f"{BARE}" == (
        "latest differs in commit 7 of shard 2: latest[2]: expected a, found b"
    )


def test_long_texts_are_cut_to_where_they_differ() -> None:
    same = "s" * 1_000
    said = f"{Difference(Check.RAW, 0, 1, 't', same + 'xyz', same + 'q' * 1_000)}"
    assert "expected …" + "s" * 60 + "xyz, found …" + "s" * 60 + "q" * 140 + "…" in said


def test_one_text_may_be_the_beginning_of_the_other() -> None:
    said = f"{Difference(Check.RAW, 0, 1, 't', 'abc', 'abcdef')}"
    assert "expected abc, found abcdef" in said


def test_it_survives_the_way_between_processes() -> None:
    found = pickle.loads(pickle.dumps(DifferenceFound(BARE)))  # noqa: S301 - our own bytes
    assert found.difference == BARE
    assert f"{found}" == f"{BARE}"


def test_bytes_are_shown_as_text() -> None:
    assert shown(None) == "a tombstone"
    assert shown(b"ab\xff") == "ab\\xff"
