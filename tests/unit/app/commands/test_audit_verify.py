"""`audit verify`: words, JSON, exit codes, processes."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from app.cli import main
from app.commands.audit_verify import _exit_code, as_json, in_words
from audit.core.appended import Early
from audit.core.cuts import Cut
from audit.core.difference import Check, Difference
from audit.core.heads import Compared, Head
from audit.verify import ShardReport
from schemas.topics import CHANGES, JOURNAL, LATEST, PRICES_RAW
from tests.support.folded import a_folded_file, tamper

LOG = Path("log.sqlite")
RIGHT = ShardReport(0, 0, 12, 1_234, waiting=3, later=0, snapshots=0)
WRONG = ShardReport(
    1,
    5,
    9,
    10,
    waiting=0,
    later=2,
    snapshots=1,
    difference=Difference(Check.RAW, 1, 10, "prices.raw", "a", "b", offset=4),
)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, clean: Path) -> Path:
    """Put a log in which a small history is folded into the working directory."""
    monkeypatch.setenv("STACKS_FEED_LOG", f"{LOG}")
    return a_folded_file(LOG)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_reports_say_what_was_verified_and_what_differs() -> None:
    assert in_words([RIGHT, WRONG], took_s=2.0).splitlines() == [
        "shard 0: commits 1 to 12, 1,234 observations, as derived; not yet folded: 3",
        "shard 1: commits 6 to 9, 10 observations, as derived; from the snapshot of "
        "commit 5; 1 snapshots as derived; 2 keys of `latest` changed since",
        f"shard 1: {WRONG.difference}",
        "1 of 2 shards differ; 1,244 observations in 2.0 s (622 a second)",
    ]
    nothing = ShardReport(0, 0, 0, 0, waiting=0, later=0, snapshots=0)
    assert in_words([nothing], took_s=1.0).startswith("shard 0: no commit\n")
    assert "the log is what the fold makes of it" in in_words([nothing], took_s=1.0)


def test_a_program_is_told_all_of_it() -> None:
    told = json.loads(as_json([RIGHT, WRONG]))
    assert told["different"] is True
    assert told["shards"][0]["difference"] is None
    assert told["shards"][1]["difference"]["check"] == "raw hash"
    assert told["shards"][1]["difference"]["offset"] == 4


def test_a_log_is_verified_shard_by_shard(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "verify", "--jobs", "1"]) == 0
    assert "the log is what the fold makes of it; 48 observations" in said(capsys)
    assert main(["audit", "verify", "--jobs", "1", "--json", "--shard", "1"]) == 0
    (shard,) = json.loads(said(capsys))["shards"]
    assert (shard["shard"], shard["start"], shard["difference"]) == (1, 0, None)


def test_processes_say_the_same_as_one(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "verify", "--jobs", "1", "--json"]) == 0
    alone = said(capsys)
    assert main(["audit", "verify", "--jobs", "2", "--json"]) == 0
    assert said(capsys) == alone


def test_a_difference_is_1_and_names_the_place(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shard, _ = tamper(log, PRICES_RAW, b'"usd":"1.2', b'"usd":"1.3')
    assert main(["audit", "verify", "--jobs", "2"]) == 1
    assert f"shard {shard}: raw hash differs in commit" in said(capsys)


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["--shard", "7"], 2, "this log has the shards 0 to 2"),
        (["--from", "noon"], 2, "is no moment of the log"),
        (["--from", "999"], 2, "has no commit 999 yet"),
        (["--to", "cut:00000000:1,1,1"], 2, "a cut of another log"),
        (["--log", "elsewhere"], 3, "there is no log at elsewhere"),
    ],
)
def test_what_cannot_be_verified_is_no_difference(
    log: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    why: str,
) -> None:
    assert main(["audit", "verify", *arguments]) == code
    assert why in capsys.readouterr().err


def test_a_part_is_what_lies_between_two_bounds(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verify = ["audit", "verify", "--jobs", "1"]
    assert main([*verify, "--to", "1970-01-02"]) == 0
    assert "shard 0: no commit" in said(capsys)
    assert main([*verify, "--from", "2001-01-01", "--to", "2100-01-01"]) == 0
    assert "48 observations" in said(capsys)
    busiest = [*verify, "--from", "1", "--to", "2", "--shard"]
    codes = [main([*busiest, str(shard)]) for shard in range(3)]
    assert 0 in codes
    assert "commits 1 to 2" in said(capsys)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_fold_that_is_not_known_is_no_difference(
    log: Path, capsys: pytest.CaptureFixture[str], jobs: str
) -> None:
    tamper(log, JOURNAL, b'"generation":2', b'"generation":9', after=-1)
    assert main(["audit", "verify", "--jobs", jobs]) == 3
    said = capsys.readouterr().err
    assert "generation 9 of the fold" in said
    assert "Traceback" not in said


def test_from_a_cut_on_is_what_comes_after_it(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "as-of", "2100-01-01", "--json"]) == 0
    cut = json.loads(said(capsys).splitlines()[0])["cut"]
    assert main(["audit", "verify", "--jobs", "1", "--from", cut, "--to", cut]) == 0
    assert "48 observations" in said(capsys)


def test_a_log_without_topics_is_no_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty.sqlite").touch()
    assert main(["audit", "verify", "--log", "empty.sqlite"]) == 3
    assert "has no topics yet" in capsys.readouterr().err


# ---- against heads that were kept


def a_head(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["audit", "head", *options]) == 0
    return said(capsys)


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["line", "json"])
def test_a_log_contains_the_head_that_it_has(
    log: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    head = a_head(capsys, *options)
    assert len(head.splitlines()) == 1
    Path("heads").write_text(f"# of today\n{head}")
    assert main(["audit", "verify", "--jobs", "1", "--against", "heads"]) == 0
    lines = said(capsys).splitlines()
    assert lines[-2].startswith("the log contains the head of cut:01234567:")


def test_a_relabelled_log_does_not_contain_the_head(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("heads").write_text(a_head(capsys))
    tamper(log, LATEST, b'"world":"simulated"', b'"world":"live"')
    assert main(["audit", "verify", "--jobs", "1", "--against", "heads"]) == 1
    told = said(capsys)
    assert "does not contain the head of cut:01234567:" in told
    assert "1 of 1 heads are not found in it" in told
    options = ["--jobs", "1", "--json", "--against", "heads"]
    assert main(["audit", "verify", *options]) == 1
    found = json.loads(said(capsys))
    assert (found["different"], found["heads"][0]["contained"]) == (True, False)


def test_a_head_that_the_log_no_longer_tells_of_is_3(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = Head(Cut("01234567", (0,)), "a" * 64, ("b" * 64,))
    gone = Compared(head, (), ("shard 0 no longer holds commit 4",))
    assert _exit_code([RIGHT], [gone]) == 3
    assert "cannot tell if it contains the head" in in_words(
        [RIGHT], [gone], took_s=1.0
    )


def test_heads_in_a_file_of_an_editor_are_read_and_other_encodings_refused_in_words(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = a_head(capsys)
    # Two files put together, each with its byte order mark.
    Path("heads").write_bytes(2 * b"".join([b"\xef\xbb\xbf", head.encode()]))
    assert main(["audit", "verify", "--jobs", "1", "--against", "heads"]) == 0
    capsys.readouterr()
    for encoding in ("utf-16", "utf-16-le", "utf-32"):
        Path("heads").write_bytes(head.encode(encoding))
        assert main(["audit", "verify", "--jobs", "1", "--against", "heads"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.endswith("prints it; save it as UTF-8")


@pytest.mark.parametrize("content", [None, b"nonsense", b"\xff\xfe"])
def test_a_file_without_a_head_is_a_wrong_request(
    log: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    if content is not None:
        Path("heads").write_bytes(content)
    assert main(["audit", "verify", "--jobs", "1", "--against", "heads"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--against heads: " in line


# ---- append times


@pytest.mark.parametrize("topic", [CHANGES, JOURNAL])
def test_append_times_that_were_moved_in_the_file_are_found(
    log: Path, capsys: pytest.CaptureFixture[str], topic: str
) -> None:
    with closing(sqlite3.connect(log)) as db, db:
        db.execute(
            "UPDATE records SET time = time - 3600000 WHERE id >> 40 IN (SELECT p.id"
            " FROM partitions p JOIN topics t ON p.topic = t.id WHERE t.name = ?)",
            (topic,),
        )
    assert main(["audit", "verify", "--jobs", "1"]) == 1
    assert "append time differs in commit 1 of shard" in said(capsys)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE records SET value = CAST(REPLACE(CAST(value AS TEXT),"
        """ '"logTime":1', '"logTime":2') AS BLOB) WHERE key LIKE 'watermark%'""",
        "DELETE FROM records WHERE id >> 40 IN (SELECT p.id FROM partitions p"
        " JOIN topics t ON p.topic = t.id WHERE t.name = 'demand')",
    ],
    ids=["watermarks", "demand"],
)
def test_watermarks_and_demand_are_no_history(log: Path, statement: str) -> None:
    with closing(sqlite3.connect(log)) as db, db:
        db.execute(statement)
    assert main(["audit", "verify", "--jobs", "1"]) == 0


def test_a_declared_point_is_told_for_ever() -> None:
    report = replace(RIGHT, start=7, declared=5)
    (first, line, _) = in_words([report], took_s=1.0).splitlines()
    assert "commits 8 to 12, 1,234 observations, as derived" in first
    assert line == (
        "shard 0: commits 1 to 5 can never be verified: a point was declared at commit 5, "
        "because history before it is gone"
    )
    assert json.loads(as_json([report]))["shards"][0]["declared"] == 5


def test_commits_that_were_appended_early_are_told() -> None:
    report = replace(RIGHT, early=Early(2, 7, 3_600_000))
    (_, line, _) = in_words([report], took_s=1.0).splitlines()
    assert line.startswith(
        "shard 0: 2 commits were appended before the newest observation that they read, "
        "the first is commit 7, by 3,600.000 s: "
    )
    (told,) = json.loads(as_json([report]))["shards"]
    assert told["early"] == {"commits": 2, "first": 7, "early_ms": 3_600_000}
