"""The audit commands on a log that has lost its first observations, and declared a point."""

import asyncio
import json
from pathlib import Path

import pytest

from app.cli import main
from audit.core.verify import Verifier
from audit.declaring import declare
from eventlog.port import Partition
from processor.core.generations import GENERATIONS
from schemas.topics import PRICES_RAW
from tests.support.audited import SHARD
from tests.support.folded import a_folded_file
from tests.support.folding import ALPHA
from tests.support.logs import PARTITIONS, Place, open_at
from tests.support.sqlite_logs import drop_all

LOG = "log.sqlite"


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch, clean: Path) -> int:
    """Make such a log; return the commit of the point in the shard of the prices."""
    monkeypatch.setenv("STACKS_FEED_LOG", LOG)
    path = a_folded_file(Path(LOG))
    for shard in range(PARTITIONS):
        drop_all(path, Partition(PRICES_RAW, shard))

    async def run() -> int:
        async with open_at(Place("sqlite", LOG)) as log:
            points = [
                await declare(log, n, new_verifier=lambda s: Verifier(s, GENERATIONS))
                for n in range(PARTITIONS)
            ]
        point = points[SHARD]
        assert point is not None
        return point.header.commit

    return asyncio.run(run())


def asked(
    capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0
) -> list[str]:
    assert main(["audit", *arguments]) == code
    said = capsys.readouterr()
    return (said.err if code else said.out).splitlines()


def test_verify_tells_from_where_on_the_log_proves_itself(
    declared: int, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = asked(capsys, "verify", "--jobs", "1")
    never = f"shard {SHARD}: commits 1 to {declared} can never be verified: "
    assert any(line.startswith(never) for line in lines)
    assert "the log is what the fold makes of it" in lines[-1]


def test_the_table_tells_which_rows_can_never_be_verified(
    declared: int, capsys: pytest.CaptureFixture[str]
) -> None:
    cut, *lines = asked(capsys, "as-of", "2100-01-01", "price")
    assert cut.startswith("cut:")
    never = (
        f"shard {SHARD}: what commits 1 to {declared} published can never be verified"
    )
    assert any(line.startswith(never) for line in lines)
    first = json.loads(asked(capsys, "as-of", "2100-01-01", "--json")[0])
    assert first["declared"][f"{SHARD}"] == declared


def test_a_value_of_before_the_point_is_told_but_not_derived(
    declared: int, capsys: pytest.CaptureFixture[str]
) -> None:
    key = f"price:{ALPHA}"
    lines = asked(capsys, "explain", key)
    assert any("why it changed can no longer be derived" in line for line in lines)
    found = json.loads(asked(capsys, "explain", key, "--json")[0])
    assert (found["notDerived"], found["declared"]) == (declared, declared)
    lines = asked(capsys, "explain", key, "--at", "1")
    assert lines[0].startswith(f"{key} is ")
    assert (
        lines[-1] == "what came since then is not told: that can no longer be derived"
    )
    found = json.loads(asked(capsys, "explain", key, "--at", "1", "--json")[0])
    assert (found["notDerived"], found["declared"]) == (declared, declared)


def test_other_settings_are_not_compared_with_what_is_gone(
    declared: int, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = ("diff", "--jobs", "1", "--set", "priceDeviation=0.1")
    lines = asked(capsys, *wanted)
    gone = f"shard {SHARD}: commits 1 to {declared} are not compared, history is gone"
    assert gone in lines
    found = json.loads(asked(capsys, *wanted, "--json")[0])
    assert found["notCompared"][f"{SHARD}"] == declared
