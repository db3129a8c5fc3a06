"""`audit as-of`: the table at a moment, for eyes and for programs."""

import asyncio
import json
from pathlib import Path

import pytest

from app.cli import main
from eventlog.sqlite import SqliteConfig, open_sqlite
from schemas.base import encode
from schemas.topics import PRICES_RAW
from tests.support.folded import a_folded_file, fold
from tests.support.folding import ALPHA, BETA, USER, price
from tests.support.logs import now_ms

LOG = "log.sqlite"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, clean: Path) -> Path:
    monkeypatch.setenv("STACKS_FEED_LOG", LOG)
    return a_folded_file(Path(LOG))


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["audit", "as-of", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_cut_gives_what_the_time_gave(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_time = asked(capsys, "2100-01-01", "--json")
    cut = json.loads(by_time[0])["cut"]
    assert asked(capsys, cut, "--json") == by_time
    rows = [json.loads(line) for line in by_time[1:]]
    assert {row["key"].split(":")[0] for row in rows} == {"token", "price", "balance"}
    assert all(row["commit"] > 0 and row["value"]["version"] > 0 for row in rows)


def test_commits_that_a_clock_ahead_has_dated_are_told(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ahead_ms = now_ms() + 10 * 86_400_000
    whole = asked(capsys, "2100-01-01")

    async def append_ahead() -> None:
        async with open_sqlite(SqliteConfig(log, now_ms=lambda: ahead_ms)) as opened:
            said = encode(price("9.5", "a", 20_000_000))
            await fold(opened, [(PRICES_RAW, ALPHA.encode(), said)])

    asyncio.run(append_ahead())
    for command in (["as-of", "now"], ["as-of", "-1m"]):
        assert main(["audit", *command]) == 0
        out, err = capsys.readouterr()
        if command[1] == "now":
            assert out.splitlines()[1:] == whole[1:]
        (line,) = err.splitlines()
        assert " has commits up to " in line
        assert "after now (a clock was ahead)" in line
    assert main(["audit", "explain", f"price:{ALPHA}", "--at", "now"]) == 0
    assert "after now (a clock was ahead)" in capsys.readouterr().err
    # A moment to come, a cut, and the whole history say nothing of it.
    for moment in ("2100-01-01", whole[0]):
        assert main(["audit", "as-of", moment]) == 0
        assert capsys.readouterr().err == ""


def test_before_the_first_commit_there_is_nothing(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cut,) = asked(capsys, "2001-01-01")
    assert cut.startswith("cut:")
    assert cut.endswith(":0,0,0")


def test_keys_are_chosen_as_in_tail_and_shown_as_there(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut, *rows = asked(capsys, "2100-01-01", "price")
    assert len(rows) == 2
    assert all(" USD" in row for row in rows)
    assert cut.startswith("cut:")


@pytest.mark.parametrize("moment", ["now", "-0s", "now-0m"])
def test_a_moment_may_be_relative(
    log: Path, capsys: pytest.CaptureFixture[str], moment: str
) -> None:
    assert asked(capsys, moment) == asked(capsys, "2100-01-01")
    assert len(asked(capsys, "-9999d")) == 1


@pytest.mark.parametrize(
    ("spelling", "keys"),
    [
        (ALPHA, [f"price:{ALPHA}"]),
        (ALPHA.lower(), [f"price:{ALPHA}"]),
        (f"token:{ALPHA}::x", [f"token:{ALPHA}"]),
        (USER, [f"balance:{USER}:{BETA}"]),
        (f"balance:{USER}", [f"balance:{USER}:{BETA}"]),
        ("balance", [f"balance:{USER}:{BETA}"]),
    ],
)
def test_keys_are_taken_in_each_spelling(
    log: Path, capsys: pytest.CaptureFixture[str], spelling: str, keys: list[str]
) -> None:
    _, *rows = asked(capsys, "now", spelling, "--json")
    assert [json.loads(row)["key"] for row in rows] == keys


def test_the_amounts_of_a_balance_have_the_decimals_of_its_token(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, row = asked(capsys, "now", "balance")
    assert f"{USER} {BETA}" in row
    assert " 5 units " in row


@pytest.mark.parametrize(
    ("key", "code", "why"),
    [
        ("price:alpha", 1, f"names nothing in this log; nearest: price:{ALPHA}"),
        ("price:.stx", 1, "'price:.stx' names nothing in this log"),
        ("alpha", 2, f"did you mean price:{ALPHA}?"),
        ("prices", 2, "did you mean price?"),
        ("prise:.stx", 2, "no kind of key"),
    ],
)
def test_a_key_that_names_nothing_is_one_line(
    log: Path, capsys: pytest.CaptureFixture[str], key: str, code: int, why: str
) -> None:
    assert main(["audit", "as-of", "now", key]) == code
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert why in line
    assert said.out == ""


def test_a_key_that_had_no_value_yet_is_told(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "as-of", "2001-01-01", f"price:{ALPHA}", "--json"]) == 0
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 1
    assert said.err == f"stacks-feed audit: 'price:{ALPHA}' had no value then\n"


@pytest.mark.parametrize(
    ("moment", "code"), [("noon", 2), ("cut:00000000:1,1,1", 2), ("cut:0:1", 2)]
)
def test_what_is_no_moment_of_this_log_is_refused(
    log: Path, capsys: pytest.CaptureFixture[str], moment: str, code: int
) -> None:
    assert main(["audit", "as-of", moment]) == code
    assert capsys.readouterr().err.startswith("stacks-feed audit: ")
