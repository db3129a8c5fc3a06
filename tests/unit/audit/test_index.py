"""The index as a file: extended by several, begun again when it is of no use."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from audit.core.waypoints import Era, Noted, Way, Waypoint
from audit.errors import IndexUnusable
from audit.index import Index, Moved, open_index

LOG = "a" * 32
ERAS = [Era(1, {}, {"prices.raw": 0}), Era(30, {"prices.raw": 90}, {})]


def add(index: Index, name: bytes, *offsets: int) -> None:
    before, _ = index.next_of("changes", 0)
    index.add("changes", 0, {name: offsets}, before=before, after=offsets[-1] + 1)


def test_offsets_are_found_by_key_from_any_place(tmp_path: Path) -> None:
    with open_index(tmp_path / "new" / "index", log_id=LOG) as index:
        for start in range(0, 3_000, 300):
            add(index, b"a", *range(start, start + 300, 3))
            assert index.next_of("changes", 0) == (start + 298, "")
        assert index.offsets("changes", 0, b"a") == list(range(0, 3_000, 3))
        assert index.offsets("changes", 0, b"a", start=2_000) == list(
            range(2_001, 3_000, 3)
        )
        for others in (("changes", 0, b"b"), ("changes", 1, b"a"), ("x", 0, b"a")):
            assert index.offsets(*others) == []


def test_what_was_indexed_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    for _ in range(2):
        with open_index(tmp_path / "index", log_id=LOG) as index:
            add(index, b"a", index.next_of("changes", 0)[0])
    with open_index(tmp_path / "index", log_id=LOG) as index:
        assert index.offsets("changes", 0, b"a") == [0, 1]


def test_of_two_who_extend_it_the_later_begins_again(tmp_path: Path) -> None:
    with (
        open_index(tmp_path / "index", log_id=LOG) as one,
        open_index(tmp_path / "index", log_id=LOG) as other,
    ):
        add(one, b"a", 0)
        with pytest.raises(Moved):
            other.add("changes", 0, {b"a": [0]}, before=0, after=1)
        assert other.offsets("changes", 0, b"a") == [0]


@pytest.mark.parametrize("content", [b"no database at all" * 99, None, "another log"])
def test_a_file_that_is_no_index_of_this_log_is_replaced(
    tmp_path: Path, content: bytes | str | None
) -> None:
    path = tmp_path / "index"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is None:
        with closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE about (version INTEGER, log TEXT)")
            db.execute("INSERT INTO about VALUES (0, ?)", (LOG,))
            db.commit()
    else:
        with open_index(path, log_id="b" * 32) as index:
            add(index, b"a", 7)
    with open_index(path, log_id=LOG) as index:
        assert index.next_of("changes", 0) == (0, "")


def test_it_can_be_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "index"
    with open_index(path, log_id=LOG) as index:
        add(index, b"a", 7)
    with open_index(path, log_id=LOG, anew=True) as index:
        assert index.offsets("changes", 0, b"a") == []


def test_what_cannot_be_an_owner_is_not_kept() -> None:
    with open_index(None, log_id=LOG) as index:
        add(index, b"a" * 1_025, 7)
        assert index.offsets("changes", 0, b"a" * 1_025) == []
        assert index.next_of("changes", 0) == (8, "")


def test_waypoints_are_where_looking_starts() -> None:
    points = [
        Waypoint(1, 0, {}),
        Waypoint(17, 20, {"prices.raw": 100}),
        Waypoint(33, 40, {"prices.raw": 100, "tokens.raw": 5}),
    ]
    with open_index(None, log_id=LOG) as index:
        assert index.before_commit(0, 5) == 0
        way = Way({"prices.raw": 101}, "1 {}")
        assert (index.way_of(0), index.eras(0)) == (Way(), [])
        index.add_commits(0, Noted(points, ERAS), before=0, after=41, way=way)
        assert [index.before_commit(0, n) for n in (16, 17, 32, 99)] == [0, 20, 20, 40]
        places = [index.before_raw(0, "prices.raw", n) for n in (99, 100, 500)]
        assert places == [0, 40, 40]
        assert index.before_raw(0, "tokens.raw", 4) == 20
        assert (index.way_of(0), index.eras(0)) == (way, ERAS)


def test_a_file_that_breaks_while_it_is_open_is_said_to_be_of_no_use(
    tmp_path: Path,
) -> None:
    with (
        pytest.raises(IndexUnusable, match="no such table: blocks; delete it"),
        open_index(tmp_path / "index", log_id=LOG) as index,
    ):
        broken(index)


def broken(index: Index) -> None:
    index._db.execute("DROP TABLE blocks")
    index.offsets("changes", 0, b"a")
