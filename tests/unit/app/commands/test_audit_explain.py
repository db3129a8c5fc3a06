"""`audit explain`: by an index, without one, and with one that is wrong."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.cli import main
from tests.support.folded import a_folded_file, tamper
from tests.support.folding import ALPHA, BETA, USER

LOG = "log.sqlite"
INDEX = Path("log.sqlite.index")
PRICE = f"price:{ALPHA}"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, clean: Path) -> Path:
    monkeypatch.setenv("STACKS_FEED_LOG", LOG)
    return a_folded_file(Path(LOG))


def asked(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["audit", "explain", *arguments]) == code
    said = capsys.readouterr()
    return said.err if code else said.out


def test_with_and_without_an_index_the_answer_is_the_same(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scanned = asked(capsys, PRICE, "--json", "--no-index")
    assert not INDEX.exists()
    assert asked(capsys, PRICE, "--json") == scanned
    assert INDEX.exists()
    assert asked(capsys, PRICE, "--json") == scanned
    assert json.loads(scanned)["value"]["version"] == 7


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (PRICE, "is 1.61 USD, version 7 after commit"),
        (f"balance:{USER}:{BETA}", "it stands on"),
        (f"token:{ALPHA}", "is name Alpha 9"),
        ("reject:prices.raw:1:5", "published price:"),
        ("reject:prices.raw:1:19", "refused: it does not fit its schema"),
    ],
)
def test_each_kind_is_told_in_sentences(
    log: Path, capsys: pytest.CaptureFixture[str], key: str, sentence: str
) -> None:
    assert sentence in asked(capsys, key)


def test_a_moment_may_be_named(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "after commit 2 of shard 1" in asked(capsys, PRICE, "--at", "2")
    assert "was not published" in asked(capsys, PRICE, "--at", "2001-01-01")
    said = json.loads(asked(capsys, "prices.raw:1:19", "--json"))
    assert said["step"]["reject"]["reason"] == "schema"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["reject:prices.raw:x"], "names nothing that can be explained"),
        (["watermark:0"], "names nothing that can be explained"),
        (["price"], "names nothing that can be explained"),
        (["price:*"], "names nothing that can be explained"),
        (["prise:.stx"], "'prise:.stx': no kind of key"),
        (["prices.raw:9:1"], "has the shards 0 to 2"),
        (["prices.raw:1:99999"], "holds no record 99999"),
        ([PRICE, "--at", "noon"], "is no moment"),
    ],
)
def test_a_wrong_request_is_refused(
    log: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], why: str
) -> None:
    assert why in asked(capsys, *arguments, code=2)


def test_an_index_that_is_wrong_misleads_nobody(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = asked(capsys, PRICE)
    with closing(sqlite3.connect(INDEX)) as db:
        db.execute("UPDATE blocks SET offsets = x'01' WHERE topic = 'prices.raw'")
        db.commit()
    assert asked(capsys, PRICE) == right


def test_a_log_that_was_tampered_with_is_said_to_be(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tamper(log, "changes", b'"usd":"1.61"', b'"usd":"1.62"')
    assert "changes differs in commit 5" in asked(capsys, PRICE, code=1)


@pytest.mark.parametrize(
    "spelling",
    [ALPHA, ALPHA.lower(), f"{ALPHA}::alpha", f"price:{ALPHA}::alpha"],
)
def test_a_key_is_taken_in_each_spelling(
    log: Path, capsys: pytest.CaptureFixture[str], spelling: str
) -> None:
    assert asked(capsys, spelling) == asked(capsys, PRICE)


@pytest.mark.parametrize("spelling", [USER, f"balance:{USER}", USER.lower()])
def test_a_user_is_answered_with_all_balances(
    log: Path, capsys: pytest.CaptureFixture[str], spelling: str
) -> None:
    head, *rows = asked(capsys, spelling).splitlines()
    assert head.startswith(f"{USER} has 1 balances after commit ")
    assert rows == [f"  balance:{USER}:{BETA} is 5 units"]
    said = json.loads(asked(capsys, spelling, "--json"))
    assert (said["user"], list(said["balances"])) == (USER, [f"balance:{USER}:{BETA}"])
    early = asked(capsys, spelling, "--at", "2001-01-01").splitlines()
    assert early == [f"{USER} has 0 balances after commit 0 of shard {said['shard']}"]


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("alpha", f"; nearest: {PRICE}"),
        ("alhpa", f"; nearest: {PRICE}"),
        ("nonsense", ""),
        ("price:nonsense", ""),
        ("price:alpha", f"; nearest: {PRICE}"),
        ("price:SP3D6PV2ACBPEKYJTCMH7HEN02KP87QSP8KTEH335.mega", ""),
        ("SP3D6PV2ACBPEKYJTCMH7HEN02KP87QSP8KTEH335", ""),
        ("balance:x:y", ""),
        ("stx", ""),
    ],
)
def test_a_key_that_names_nothing_is_one_line_and_1(
    log: Path, capsys: pytest.CaptureFixture[str], key: str, hint: str
) -> None:
    (line,) = asked(capsys, key, code=1).splitlines()
    assert line.startswith("stacks-feed audit: ")
    assert f" names nothing in this log{hint}" in line


def test_a_key_that_came_later_is_no_mistake(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "was not published" in asked(capsys, ALPHA, "--at", "2001-01-01")


def test_a_moment_may_be_relative(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = asked(capsys, PRICE)
    for moment in ("now", "-0s", "now-0s"):
        assert asked(capsys, PRICE, "--at", moment) == now
    assert "was not published" in asked(capsys, PRICE, "--at", "-9999d")
