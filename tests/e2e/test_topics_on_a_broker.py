"""The topics and the identity on a broker, from the command line."""

import json
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.processes import run

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]


@pytest.fixture
def settings(broker: str) -> dict[str, object]:
    """Settings for a log of its own on the broker."""
    return {
        "log": f"kafka://{broker}",
        "log_prefix": f"t{uuid4().hex[:12]}.",
        "environment": "development",
        "partitions": 2,
    }


async def test_applying_creates_them_once_and_writes_one_identity(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    first = await run("topics", "apply", "--json", cwd=tmp_path, **settings)
    assert first.code == 0, first
    made = json.loads(first.out)
    assert "latest" in made["created"]
    again = await run("topics", "apply", "--json", cwd=tmp_path, **settings)
    assert json.loads(again.out) == {**made, "created": []}
    shown = await run("topics", "show", cwd=tmp_path, **settings)
    assert shown.code == 0, shown
    assert made["identity"]["id"] in shown.out


async def test_other_settings_are_reported_as_drift_and_change_nothing(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    assert (await run("topics", "apply", cwd=tmp_path, **settings)).code == 0
    other = {**settings, "audit_days": 9, "partitions": 3}
    drifted = await run("topics", "apply", cwd=tmp_path, **other)
    assert drifted.code == 1
    assert "differs: prices.raw: retention.ms is 172800000" in drifted.out
    assert "differs: latest: partitions is 2, should be 3" in drifted.out
    assert (await run("topics", "show", cwd=tmp_path, **settings)).code == 0


async def test_a_live_process_refuses_a_simulated_log(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    assert (await run("topics", "apply", cwd=tmp_path, **settings)).code == 0
    live = {**settings, "environment": "production"}
    for command in ("ingest", "processor"):
        ended = await run(command, cwd=tmp_path, **live)
        assert ended.code == 1
        assert "holds a simulated world" in ended.err
        assert len(ended.err.splitlines()) == 1
