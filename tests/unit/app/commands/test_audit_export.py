"""`audit export`: what it writes is there for a query engine."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from tests.support.folded import a_folded_file

HAS_ARROW = importlib.util.find_spec("pyarrow") is not None
DAYS = ("2020-01-01", "2100-01-01")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, clean: Path) -> Path:
    monkeypatch.setenv("STACKS_FEED_LOG", "log.sqlite")
    return a_folded_file(Path("log.sqlite"))


def asked(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["audit", "export", *arguments, "--out", "out"]) == code
    said = capsys.readouterr()
    return said.err if code else said.out


def test_a_second_run_has_nothing_to_do(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = json.loads(asked(capsys, *DAYS, "--format", "csv", "--json"))
    assert first["written"] > 0
    again = asked(capsys, *DAYS, "--format", "csv")
    assert again == (
        f"parts written: 0, with 0 rows; finished before: {first['written']}\n"
    )


@pytest.mark.skipif(not HAS_ARROW, reason="pip install 'stacks-feed[parquet]'")
def test_a_query_engine_reads_what_was_written(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    duckdb: Any = pytest.importorskip("duckdb", reason="pip install duckdb")
    said = json.loads(asked(capsys, *DAYS, "--json"))
    with duckdb.connect() as db:
        (count, top), *_ = db.execute(
            "SELECT count(*), max(usd_decimal) FROM read_parquet("
            "'out/changes/*/*.parquet', hive_partitioning = true)"
            " WHERE day BETWEEN '2020-01-01' AND '2100-01-01'"
        ).fetchall()
    assert count == said["rows"]
    assert f"{top}" == "1.920000000000000000"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("noon", "2100-01-01"), "is no moment"),
        (("cut:01234567:1,1,1", "2100-01-01"), "has days, not cuts"),
    ],
)
def test_a_wrong_request_is_refused(
    log: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], why: str
) -> None:
    assert why in asked(capsys, *arguments, code=2)


def test_the_folder_of_another_log_is_refused(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("out").mkdir()
    Path("out/manifest.json").write_text("{}")
    assert "export of another log" in asked(capsys, *DAYS, code=2)


def test_without_parquet_it_is_said_how_to_get_it(
    log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("audit.parts.importlib.import_module", absent)
    assert "stacks-feed[parquet]" in asked(capsys, *DAYS, code=3)
