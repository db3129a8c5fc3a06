"""`backfill`: what became of each line, and an exit code."""

import json
from pathlib import Path

import pytest

from app.cli import main

HEADER = "contractId,source,usd,observedAt\n"


def test_history_is_written_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    main(["topics", "apply"])
    Path("a.csv").write_text(HEADER + ".stx,kraxel,1.5,1000\n.stx,kraxel,1.6,2000\n")
    capsys.readouterr()
    assert main(["backfill", "a.csv"]) == 0
    assert "2 lines: 2 written, 0 bad, 0 refused" in capsys.readouterr().out


def test_bad_lines_and_refused_keys_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["topics", "apply"])
    Path("a.csv").write_text(HEADER + ".stx,kraxel,1.5,2000\n.stx,kraxel,x,3000\n")
    Path("b.csv").write_text(HEADER + ".stx,kraxel,1.5,1000\n")
    assert main(["backfill", "a.csv"]) == 1
    assert "bad: a.csv:3" in capsys.readouterr().out
    assert main(["backfill", "b.csv"]) == 1
    assert "refused: prices.raw .stx" in capsys.readouterr().out
    assert main(["backfill", "b.csv", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["refused"] == 1


def test_a_file_that_cannot_be_used_is_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["topics", "apply"])
    assert main(["backfill", "gone.csv"]) == 1
    assert "gone.csv: no such file; nothing was written" in capsys.readouterr().err
