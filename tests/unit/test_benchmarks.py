"""The command: everything on SQLite in tiny sizes, and names that do not exist."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.__main__ import main


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_quick_run_measures_all_that_needs_one_process(tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    names = ["processor", "sustained", "logs", "restore", "verify", "ask"]
    main([*names, "--quick", "--output", str(output)])
    results = json.loads(output.read_text())["results"]
    assert {each["name"] for each in results} == {
        "sqlite processor",
        "sqlite sustained",
        "sqlite append",
        "sqlite commit",
        "sqlite read",
        "sqlite restore",
        "sqlite verify",
        "sqlite 0.05 days",
        *(
            f"sqlite 0.05 days: {what}"
            for what in (
                "index",
                "verify the last day",
                "explain a price",
                "explain a balance",
                "as-of",
            )
        ),
        *(
            f"sqlite verify: {part}"
            for part in ("reading", "hashing", "decoding", "folding", "comparing")
        ),
    }
    # In so tiny a run a small part of the whole is lost in the noise.
    figures = [each for each in results if each["unit"] != "% of the CPU"]
    assert all(each["value"] > 0 for each in figures)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_quick_run_sets_crowds_before_an_edge(tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler (cc)")
    output = tmp_path / "results.json"
    main(["edge", "--quick", "--output", str(output)])
    rows = json.loads(output.read_text())["results"]
    figures = {(each["name"], each["unit"]): each for each in rows}
    names = {name for name, _ in figures}
    assert names >= {f"edge all, {n} a batch" for n in (1, 5, 20, 100)}
    assert figures["edge 30 come back", "gaps and repeats"]["value"] == 0


def test_a_name_that_does_not_exist_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["nonsense"])
    assert "no such benchmark: nonsense" in capsys.readouterr().err
