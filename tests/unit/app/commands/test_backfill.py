"""`backfill`: the plan first, then what was written, and an exit code."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from eventlog.port import LogUnavailable
from ingest.backfill import Backfill
from tests.support.folded import a_folded_file

HEADER = "contractId,source,usd,observedAt"
AT = 1_606_780_800_000
TOKEN = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS.a"


@pytest.fixture(autouse=True)
def log() -> None:
    main(["topics", "apply"])


def table(name: str, rows: Iterable[tuple[Any, ...]]) -> str:
    lines = [HEADER, *(",".join(map(str, row)) for row in rows)]
    Path(name).write_text("\n".join(lines))
    return name


def good(count: int = 40) -> list[tuple[Any, ...]]:
    return [(TOKEN, "x", f"0.{2_000 + n}", AT + 60_000 * n) for n in range(count)]


def asked(
    capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0
) -> tuple[list[str], list[str]]:
    """Return the lines on stdout and on stderr."""
    capsys.readouterr()
    assert main(["backfill", *arguments]) == code
    said = capsys.readouterr()
    return said.out.splitlines(), said.err.splitlines()


def test_the_plan_is_told_and_then_how_much_was_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, err = asked(capsys, table("a.csv", [*good(), (".stx", "x", 1, AT)]))
    assert out == [
        "a.csv: 41 rows of 2 keys, 2020-12-01T00:00:00.000Z to "
        "2020-12-01T00:39:00.000Z (milliseconds)",
        "41 rows of 2 keys: 41 to write, 0 already in the log, 0 bad, 0 refused",
        "41 rows written",
    ]
    assert err == []
    out, _ = asked(capsys, "a.csv")
    assert out[1:] == [
        "41 rows of 2 keys: 0 to write, 41 already in the log, 0 bad, 0 refused",
        "0 rows written",
    ]


def test_a_dry_run_tells_the_plan_and_writes_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = table("a.csv", good())
    for _ in range(2):
        out, _ = asked(capsys, name, "--dry-run")
        assert "40 rows of 1 key: 40 to write, 0 already in the log" in out[-1]
    found = json.loads(asked(capsys, name, "--dry-run", "--json")[0][0])
    assert (found["dryRun"], found["toWrite"], found["written"]) == (True, 40, 0)


def test_a_wrong_unit_is_one_line_with_file_line_value_and_unit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = table("us.csv", [(*row[:3], row[3] * 1_000) for row in good()])
    out, err = asked(capsys, name, code=1)
    assert err == [
        "stacks-feed backfill: us.csv:2: observedAt looks like microseconds, not "
        "milliseconds: 1606780800000000 (40 rows); --unit us reads such times; nothing "
        "was written"
    ]
    assert "0 to write" in out[-1]
    for unit in ("us", "auto"):
        out, _ = asked(capsys, name, "--unit", unit, "--dry-run")
        assert out[0].endswith("2020-12-01T00:39:00.000Z (microseconds)")
    with pytest.raises(SystemExit) as ended:
        main(["backfill", name, "--unit", "minutes"])
    assert ended.value.code == 2


def test_bad_lines_are_told_by_reason_and_keep_all_from_being_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [
        (*row[:2], "1_0" if n > 36 else row[2], row[3]) for n, row in enumerate(good())
    ]
    name = table("a.csv", [*rows, ("nothing", "x", 1, AT)])
    out, err = asked(capsys, name, code=1)
    assert out[1:3] == [
        "bad: a.csv:39: usd is not a price: '1_0' (3 rows)",
        "bad: a.csv:42: contractId is not the id of a contract: 'nothing'",
    ]
    assert err == [
        "stacks-feed backfill: a.csv:39: usd is not a price: '1_0' (3 rows), and 1 more "
        "reasons above; correct them, or leave them out with --skip-bad; nothing was "
        "written"
    ]
    found, err = asked(capsys, name, "--json", code=1)
    said = json.loads(found[0])
    assert (said["bad"], said["written"], len(err)) == (4, 0, 1)
    assert said["badLines"][0] == "a.csv:39: usd is not a price: '1_0' (3 rows)"
    assert said["files"][0]["refused"][0] == {
        "reason": "usd is not a price",
        "kind": "bad",
        "rows": 3,
        "line": 39,
        "value": "'1_0'",
    }
    out, err = asked(capsys, name, "--skip-bad")
    assert (out[-1], err) == ("37 rows written", [])


def test_refused_keys_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    asked(capsys, table("a.csv", [(".stx", "x", 1, AT + 1_000)]))
    name = table("b.csv", [(".stx", "x", 1, AT)])
    out, _ = asked(capsys, name, code=1)
    assert out[1] == (
        "refused: prices.raw .stx: the log has newer observations, up to "
        "2020-12-01T00:00:01.000Z; the first row is of 2020-12-01T00:00:00.000Z"
    )
    assert "history goes into a log before live data does" in out[2]
    said = json.loads(asked(capsys, name, "--json", code=1)[0][0])
    assert (said["refused"], said["refusedKeys"]) == (1, [["prices.raw", ".stx"]])


def test_of_many_files_reasons_and_keys_some_are_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = [table(f"{n:02}.csv", [(f"{TOKEN}{n}", "x", 1, AT + 1)]) for n in range(30)]
    asked(capsys, *names)
    for n, name in enumerate(names):
        table(name, [(f"{TOKEN}{n}", "x", 1, AT), ("y", "x", 1, AT)])
    out, _ = asked(capsys, *names, "--skip-bad", code=1)
    assert "and 10 more files; --json names them" in out
    assert "bad: and 10 more; --json names them" in out
    assert "refused: and 10 more; --json names them" in out


def test_the_rows_that_an_exported_log_had_refused_are_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    a_folded_file(Path("old.sqlite"))
    days = ("2020-01-01", "2100-01-01", "--what", "observations", "--format", "csv")
    main(["audit", "export", *days, "--out", "out", "--log", "old.sqlite"])
    out, _ = asked(capsys, "out")
    assert any(line.startswith("left out: out/observations/") for line in out)
    assert out[-2].endswith("3 left out")
    found = json.loads(asked(capsys, "out", "--json")[0][0])
    assert found["inLog"] == found["lines"] - found["leftOut"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gone.csv", "gone.csv: no such file"),
        (".", ".: is a folder that holds no export; name its files"),
        ("empty.csv", "empty.csv: is empty"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(
    capsys: pytest.CaptureFixture[str], name: str, why: str
) -> None:
    Path("empty.csv").touch()
    _, err = asked(capsys, name, code=1)
    assert err == [f"stacks-feed backfill: {why}; nothing was written"]


def test_a_log_that_fails_half_way_is_told_with_how_far_it_came(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: Backfill) -> None:
        self.report.written = 10
        raise LogUnavailable("there", why="gone")

    monkeypatch.setattr(Backfill, "write", fail)
    _, err = asked(capsys, table("a.csv", good()), code=1)
    assert err[0] == (
        "stopped: 10 of 40 rows are surely written; the same command goes on from there"
    )
    assert err[1].startswith("stacks-feed backfill: the log at there is not available")


def test_an_interrupted_run_tells_how_far_it_came(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(run: Any) -> None:
        run.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(asyncio, "run", interrupted)
    _, err = asked(capsys, table("a.csv", good()), code=130)
    assert err == ["interrupted: nothing was written"]


def test_the_help_names_the_columns_and_the_unit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["backfill", "--help"])
    text = capsys.readouterr().out
    for word in (
        "contractId",
        "source",
        "usd",
        "observedAt",
        "sequence",
        "millisecond",
    ):
        assert word in text
