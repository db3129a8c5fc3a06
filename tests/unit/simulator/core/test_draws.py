"""Draws follow from seed and path."""

from itertools import pairwise

from simulator.core.draws import Draws, digest


def test_the_same_path_gives_the_same_draws() -> None:
    first, second = Draws(1, "a", 2), Draws(1, "a", 2)
    assert [first.word() for _ in range(40)] == [second.word() for _ in range(40)]


def test_another_seed_or_path_gives_other_draws() -> None:
    heads = [Draws(*path).word() for path in ((1, "a"), (2, "a"), (1, "b"))]
    assert all(left != right for left, right in pairwise(heads))
    assert digest(1, "a") != digest(2, "a")


def test_draws_stay_in_their_range_and_reach_its_parts() -> None:
    draws = Draws(7)
    assert {draws.below(5) for _ in range(200)} == set(range(5))
    assert all(0 <= draws.unit() < 1 for _ in range(200))
