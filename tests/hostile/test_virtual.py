"""Twenty thousand answers that no upstream should give, each read by what reads it."""

import logging

import pytest

from tests.hostile.virtual import run


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(4))
async def test_no_mutation_of_an_answer_stops_or_mutes_anybody(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    trial = await run(seed, mutations=5_000)
    assert trial.flaws == []
    assert trial.served.total() >= 5_000
    assert min(trial.outcomes[name] for name in ("read", "down", "left alone")) > 20
    # A traceback would be a bug of a reader that the guard had to catch.
    assert [line.message for line in caplog.records if line.exc_info] == []
