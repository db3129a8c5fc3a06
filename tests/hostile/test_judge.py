"""Would a run notice? Each rule is broken in turn, and the judge has to say so."""

import pytest

from tests.hostile.answers import Kind
from tests.hostile.judge import Rules, Sample, expected, late, wrong_states
from tests.hostile.upstreams import Served

RULES = Rules(interval_s=5.0, window_s=12.0, slack_s=4.0)
ONE = frozenset({"one"})
NOBODY: frozenset[str] = frozenset()


def sample(now_s: float, health: frozenset[str], metrics: frozenset[str]) -> Sample:
    return Sample(now_s, 50.0, health, metrics)


def test_a_good_source_read_late_is_a_flaw() -> None:
    assert late([0, 5_000, 15_000], RULES) == []
    assert late([0, 5_000, 15_001], RULES) == [
        "the good source was not read for 10.0 s"
    ]


def test_a_source_that_was_asked_and_is_dead_must_be_shown_as_silent() -> None:
    source = Served()
    source.asked(100.0)
    source.answered(Kind.DEAD, 100.1)
    assert expected(source, 110.0, RULES) == (False, True)
    assert expected(source, 117.0, RULES) == (True, True)
    flaws = wrong_states(sample(117.0, NOBODY, ONE), {"one": source}, RULES, judged=ONE)
    assert flaws == ["one is silent, and /health/ready does not say so"]
    flaws = wrong_states(sample(117.0, ONE, NOBODY), {"one": source}, RULES, judged=ONE)
    assert flaws == ["one is silent, and /metrics does not say so"]


def test_a_source_that_answers_must_not_be_shown_as_silent() -> None:
    source = Served()
    source.asked(100.0)
    source.answered(Kind.GOOD, 100.1)
    assert expected(source, 106.0, RULES) == (False, False)
    flaws = wrong_states(sample(106.0, ONE, ONE), {"one": source}, RULES, judged=ONE)
    assert [flaw.partition(", ")[0] for flaw in flaws] == ["one answers"] * 2
    # Right after the answer, and near the end of its window, either may be true.
    assert expected(source, 102.0, RULES) == expected(source, 111.0, RULES)


def test_an_answer_that_may_have_been_of_use_leaves_both_open() -> None:
    source = Served()
    source.asked(100.0)
    source.answered(Kind.ODD, 100.1)
    assert expected(source, 200.0, RULES) == (False, True)


@pytest.mark.parametrize("judged", [NOBODY, frozenset({"another"})])
def test_a_source_that_is_not_judged_is_left_out(judged: frozenset[str]) -> None:
    source = Served()
    source.asked(0.0)
    assert not wrong_states(
        sample(99.0, NOBODY, NOBODY), {"one": source}, RULES, judged=judged
    )
