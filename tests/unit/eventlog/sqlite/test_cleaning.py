"""The cleaning thread: it ends when fenced, and goes on after trouble."""

from pathlib import Path
from sqlite3 import Connection

import pytest

from eventlog.port import Cleanup, Entry, Fenced, LogUnavailable, TopicSpec
from eventlog.sqlite.cleaning import _clean_on
from eventlog.sqlite.pace import Pace
from tests.support.sqlite_logs import Insides, insides_of

TABLE = TopicSpec("table", 1, Cleanup(compact=True, retention_ms=None))


@pytest.fixture
def log(tmp_path: Path) -> Insides:
    log = insides_of(tmp_path / "log", TABLE, dirty_min=1, clean_every_s=0)
    log.write(Entry(b"a", b"1"), Entry(b"a", b"2"))
    return log


def test_an_owner_that_was_fenced_cleans_no_more(log: Insides) -> None:
    def fenced(_: Connection) -> None:
        raise Fenced(0)

    _clean_on(log.session, fenced, Pace())
    assert log.offsets() == [0, 1]


def test_trouble_is_logged_and_cleaning_goes_on(
    log: Insides, caplog: pytest.LogCaptureFixture
) -> None:
    troubles = [LogUnavailable("here", why="busy")]
    pace = Pace()

    def sometimes(db: Connection) -> None:
        if troubles:
            raise troubles.pop()
        if db.execute("SELECT count(*) FROM records").fetchone() == (1,):
            pace.stop()

    _clean_on(log.session, sometimes, pace)
    assert log.offsets() == [1]
    assert [record.message for record in caplog.records] == ["log not cleaned"]


def test_it_ends_when_it_is_told(log: Insides) -> None:
    pace = Pace()

    def when_it_drops(db: Connection) -> None:
        if db.execute("SELECT count(*) FROM age_clocks").fetchone() == (1,):
            pace.stop()

    _clean_on(log.session, when_it_drops, pace)
    assert log.offsets() == [1]
