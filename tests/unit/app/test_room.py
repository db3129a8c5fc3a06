"""How much a log in a file holds, and how much room there is, as doctor and metrics tell it."""

from pathlib import Path

from app.room import room_of, tell_room
from runtime import metrics


def test_a_log_counts_with_what_is_not_merged_into_it_yet(tmp_path: Path) -> None:
    log = tmp_path / "log.sqlite"
    assert room_of(log).log_bytes == 0
    log.write_bytes(b"x" * 1_000)
    (tmp_path / "log.sqlite-wal").write_bytes(b"x" * 100)
    (tmp_path / "log.sqlite.index").write_bytes(b"x" * 10)
    assert room_of(log).log_bytes == 1_100


def test_room_is_told_before_there_is_a_folder(tmp_path: Path) -> None:
    room = room_of(tmp_path / "not" / "yet" / "log.sqlite")
    assert 0 < room.free_bytes <= room.total_bytes


def test_the_gauges_are_absent_where_the_disk_cannot_be_asked(tmp_path: Path) -> None:
    log = tmp_path / "log.sqlite"
    log.write_bytes(b"x" * 1_000)
    tell_room(log)
    text = metrics.render("processor")[0].decode()
    assert f'stacks_feed_log_bytes{{file="{log}"}} 1000.0' in text
    assert f'stacks_feed_log_free_bytes{{file="{log}"}}' in text
    tell_room(tmp_path / ("x" * 300))
    assert "stacks_feed_log_bytes{" not in metrics.render("processor")[0].decode()
