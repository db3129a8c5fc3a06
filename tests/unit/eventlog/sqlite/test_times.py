"""Positions by log time under a clock that steps back and forth: a law."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.port import Cleanup, Entry, TopicSpec
from eventlog.sqlite.cleaner import clean
from eventlog.sqlite.times import position_at
from tests.support.sqlite_logs import insides_of

TABLE = TopicSpec("table", 1, Cleanup(compact=True, retention_ms=None))
writes = st.lists(
    st.tuples(st.integers(0, 20), st.lists(st.sampled_from([b"a", b"b"]), max_size=3)),
    max_size=8,
)


@given(writes, st.booleans())
def test_the_first_record_whose_running_maximum_reaches_the_time(
    tmp_path_factory: pytest.TempPathFactory,
    written: list[tuple[int, list[bytes]]],
    compacted: bool,
) -> None:
    log = insides_of(tmp_path_factory.mktemp("log") / "log", TABLE, dirty_min=1)
    times: list[int] = []
    for now_ms, keys in written:
        log.clock.ms = now_ms
        log.write(*[Entry(key, b"") for key in keys])
        times += [now_ms] * len(keys)
    if compacted:
        for _ in clean(log.session, lambda _: None):
            pass
    standing = log.offsets()
    log_times = list(accumulate(times, max))
    part_id = log.part_id
    for time_ms in range(-1, 22):
        reached = [at for at in standing if log_times[at] >= time_ms]
        with log.session.reading() as db:
            found = position_at(db, part_id, time_ms=time_ms)
        assert found == (reached[0] if reached else len(times))
    log.session.close()
