"""The shares of a verification add up."""

import pytest

from benchmarks.verifying_cases import shares


def test_parts_inside_one_another_are_told_apart() -> None:
    spent = {
        "read": 2.0,
        "hash": 0.5,
        "decode": 1.5,
        "fold": 6.0,
        "all but reading": 8.0,
    }
    assert shares([spent]) == [
        ("reading", 20.0),
        ("hashing", 5.0),
        ("decoding", 15.0),
        ("folding", 40.0),
        ("comparing", 20.0),
    ]
    doubled = {part: 2 * seconds for part, seconds in spent.items()}
    assert shares([spent, doubled, spent]) == shares([spent])
    assert sum(share for _, share in shares([doubled])) == pytest.approx(100)
