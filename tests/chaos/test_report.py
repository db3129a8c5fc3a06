"""The table of runs in the docs."""

from tests.chaos.report import (
    DOC,
    RESULTS,
    faults,
    results_in,
    table,
    with_table,
    written,
)

RUN = {
    "log": "kafka",
    "seed": 7,
    "minutes": 2.0,
    "faults": 8,
    "observations": 300_000,
    "published": 1,
    "lost": 0,
    "duplicated": 0,
    "out_of_order": 0,
    "divergent": 0,
    "findings": 0,
    "commit": "abc",
    "ok": True,
}


def test_a_run_is_a_row() -> None:
    (row,) = table([RUN]).splitlines()[2:]
    assert row == "| kafka | 7 | 2.0 | 8 | 300,000 | 1 | 0 | 0 | 0 | 0 | 0 | abc | ok |"


def test_the_order_of_the_runs_does_not_matter() -> None:
    damaged = RUN | {"seed": 1, "ok": False}
    assert table([RUN, damaged]) == table([damaged, RUN])


def test_only_runs_without_damage_count_as_survived() -> None:
    rows = [row.split(" | ") for row in faults([RUN, RUN | {"ok": False}]).splitlines()]
    assert rows[0] == ["| fault survived", "kafka", "sqlite |"]
    assert sum(int(row[1]) for row in rows[2:]) == RUN["faults"]
    assert all(row[2] == "0 |" for row in rows[2:])


def test_the_docs_hold_the_runs_that_were_kept() -> None:
    text = DOC.read_text()
    assert with_table(text, written(results_in(RESULTS))) == text
