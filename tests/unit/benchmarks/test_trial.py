"""What a run of a trial says: figures a thing, medians, and the words of a failure."""

import pytest

from benchmarks.folding_cases import per_cpu_s
from benchmarks.latency import percentiles_ms
from benchmarks.trial import Cost, TrialFailed, median_cpu_us, run_trial


def cost(cpu_s: float) -> Cost:
    return Cost(count=1_000, cpu_s=cpu_s, wall_s=2.0, extra={})


def test_costs_are_told_a_thing_and_a_second() -> None:
    assert cost(0.5).per_cpu_s == 2_000
    assert cost(0.5).per_wall_s == 500


def test_of_several_rounds_the_median_counts() -> None:
    rounds = [cost(0.1), cost(9.0), cost(0.2)]
    assert median_cpu_us(rounds) == pytest.approx(200)
    assert per_cpu_s(rounds) == pytest.approx(5_000)


def test_percentiles_of_a_hundred_and_one_samples() -> None:
    samples = [float(n) for n in range(101)]
    assert percentiles_ms(samples[::-1]) == (50.0, 99.0)


@pytest.mark.slow
def test_a_trial_that_fails_leaves_its_last_words() -> None:
    with pytest.raises(TrialFailed, match="KeyError: 'count'"):
        run_trial("logs.bare_sqlite_append", {})
