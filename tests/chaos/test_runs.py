"""Short runs of everything at once; the long ones are run by hand."""

from pathlib import Path

import pytest

from tests.chaos.plan import plan
from tests.chaos.run import run
from tests.support.broker_choice import has_maven

pytestmark = pytest.mark.slow


@pytest.mark.timeout(240)
async def test_faults_around_a_file(tmp_path: Path) -> None:
    said: list[str] = []
    verdict = await run(plan(1, 0.4, "sqlite"), tmp_path, said.append)
    assert verdict.is_ok, "\n".join([*said, verdict.line()])


@pytest.mark.broker
@pytest.mark.timeout(400)
async def test_a_minute_of_faults_around_a_broker(tmp_path: Path) -> None:
    if not has_maven():
        pytest.skip("needs a broker to kill: install Java 17+ and Maven")
    said: list[str] = []
    verdict = await run(plan(1, 1, "kafka"), tmp_path, said.append)
    assert verdict.is_ok, "\n".join([*said, verdict.line()])
