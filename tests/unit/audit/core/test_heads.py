"""The head of a log as text, and read back."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.core.cuts import Cut
from audit.core.heads import FORM, Head, NotAHead, heads_in

hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
log_ids = st.text("0123456789abcdef", min_size=8, max_size=8)
shards = st.lists(st.tuples(st.integers(0, 10**12), hashes), min_size=1, max_size=20)

ONE, TWO, ID = "1" * 64, "2" * 64, "a" * 64
HEAD = Head(Cut("01234567", (4, 9)), ID, (ONE, TWO))
LINE = f"head/1 cut:01234567:4,9 identity:{ID} {ONE},{TWO}"


def a_head(log_id: str, identity: str, parts: list[tuple[int, str]]) -> Head:
    commits, chains = zip(*parts, strict=True)
    return Head(Cut(log_id, commits), identity, chains)


@given(log_ids, hashes, shards)
def test_a_head_is_read_as_it_is_written(
    log_id: str, identity: str, parts: list[tuple[int, str]]
) -> None:
    head = a_head(log_id, identity, parts)
    assert heads_in(f"{head}\n") == [head]
    assert heads_in(orjson.dumps(head.plain()).decode()) == [head]


def test_a_head_is_one_line_with_cut_and_hashes() -> None:
    assert f"{HEAD}" == LINE
    assert HEAD.plain() == {
        "schema": FORM,
        "cut": "cut:01234567:4,9",
        "identity": ID,
        "shards": [
            {"shard": 0, "commit": 4, "chain": ONE},
            {"shard": 1, "commit": 9, "chain": TWO},
        ],
    }


def test_a_file_may_hold_many_heads_and_comments() -> None:
    other = Head(Cut("01234567", (7, 9)), ID, (TWO, TWO))
    text = f"# kept on paper\n\n  {HEAD}\n{orjson.dumps(other.plain()).decode()}\r\n"
    assert heads_in(text) == [HEAD, other]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing",
        "head/2 something else",
        LINE.replace("head/1", "head/2"),
        LINE.replace(f",{TWO}", ""),
        LINE.replace(TWO, TWO[1:]),
        LINE.replace(TWO, f"{TWO}1"),
        LINE.replace("cut:01234567:4,9", "2026-11-24"),
        LINE.replace("cut:01234567:4,9", "cut:0123:4,9"),
        f"{LINE} and more",
        f"{LINE}\nnonsense",
        "{",
        "{}",
        "[]",
        '{"schema":"head/2"}',
        orjson.dumps(HEAD.plain() | {"identity": 7}).decode(),
        orjson.dumps(HEAD.plain() | {"identity": "A" * 64}).decode(),
        orjson.dumps(HEAD.plain() | {"cut": 7}).decode(),
        orjson.dumps(HEAD.plain() | {"cut": "2026-11-24"}).decode(),
        orjson.dumps(HEAD.plain() | {"shards": []}).decode(),
        orjson.dumps(HEAD.plain() | {"shards": [7]}).decode(),
        orjson.dumps(HEAD.plain() | {"more": 1}).decode(),
        "x" * 10_000,
    ],
)
def test_all_else_is_no_head(text: str) -> None:
    with pytest.raises(NotAHead, match="is no head of a log") as refused:
        heads_in(text)
    assert len(f"{refused.value}") < 200
