"""Rows sorted in memory and in temporary files: the same order, whatever the room."""

from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core.history_rows import HistoryRow, Order
from ingest.spool import Spool, SpooledRow
from schemas.base import MAX_INT
from schemas.topics import RAW

orders = st.builds(Order, st.integers(0, MAX_INT), st.integers(0, MAX_INT))
rows = st.builds(
    HistoryRow, st.sampled_from(RAW), st.binary(max_size=9), st.binary(max_size=40),
    st.just(0), orders | st.just(Order(1, 1)),
)  # fmt: skip


@given(
    st.lists(st.tuples(rows, st.integers(0, 3))),
    st.sampled_from([1, 200, 10**9]),
    st.sampled_from([2, 64]),
)
def test_rows_come_back_by_order_file_and_line_as_often_as_asked(
    found: list[tuple[HistoryRow, int]], run_bytes: int, merged_at_once: int
) -> None:
    with Spool(run_bytes=run_bytes, merged_at_once=merged_at_once) as spool:
        for number, (row, file) in enumerate(found):
            spool.add(row, file=file, number=number)
        expected = sorted(
            (
                SpooledRow(row.topic, row.key, row.value, row.order, file, number)
                for number, (row, file) in enumerate(found)
            ),
            key=lambda one: (one.order, one.file, one.number),
        )
        assert list(spool.sorted()) == expected
        assert list(spool.sorted()) == expected


def test_temporary_files_are_merged_when_there_are_many_and_have_no_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", f"{tmp_path}")
    opened: list[IO[bytes]] = []

    def open_another() -> IO[bytes]:
        opened.append(TemporaryFile())  # noqa: SIM115 - who asked for it closes it
        return opened[-1]

    monkeypatch.setattr("ingest.spool.TemporaryFile", open_another)
    with Spool(run_bytes=1, merged_at_once=4) as spool:
        most = 0
        for number in range(30):
            row = HistoryRow(RAW[0], b"k", b"v", 0, Order(30 - number, 0))
            spool.add(row, file=0, number=number)
            most = max(most, sum(not file.closed for file in opened))
        assert most == 3
        assert [one.order.major for one in spool.sorted()] == list(range(1, 31))
        # Whoever kills the process now leaves nothing behind.
        assert list(tmp_path.iterdir()) == []
    assert all(file.closed for file in opened)
