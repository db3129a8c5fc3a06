"""The plan of a backfill: what is refused, what the log has already, what is written."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core import history_plan
from ingest.core.history_plan import (
    MAX_REASONS,
    FileReport,
    KeyPlans,
    RefusedKey,
    TooManyKeys,
)
from ingest.core.history_rows import (
    HistoryRow,
    Layout,
    Order,
    RefusedRow,
    RowRules,
    Severity,
    TimeUnit,
)
from schemas.ids import Network

RULES = RowRules(network=Network.MAINNET, latest_ms=10**15)


def row(moment: int, key: bytes = b"a", value: bytes | None = None) -> HistoryRow:
    said = b'{"observedAt":%d}' % moment if value is None else value
    return HistoryRow("prices.raw", key, said, moment, Order(moment, 0))


@dataclass
class Planned:
    """Rows that met a log: what is written of them, and the plan."""

    rows: list[HistoryRow]
    logged: list[HistoryRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plans = KeyPlans()
        for each in self.rows:
            self.plans.add(each)
        for each in self.logged:
            self.plans.logged(each.topic, each.key, each.value)
        ordered = sorted(self.rows, key=lambda each: each.order)
        for each in ordered:
            self.plans.walk(each.topic, each.key, each.value)
        self.plans.decide()
        self.written = [
            each for each in ordered if self.plans.takes(each.topic, each.key)
        ]


def test_everything_goes_into_an_empty_log_in_order() -> None:
    found = Planned([row(3), row(1), row(2)])
    assert found.written == [row(1), row(2), row(3)]
    assert (found.plans.to_write, found.plans.in_log) == (3, 0)
    assert len(found.plans) == 1
    assert found.plans.topics() == {"prices.raw"}


@given(st.lists(st.integers(0, 20), min_size=1), st.data())
def test_a_run_goes_on_after_the_rows_that_an_earlier_one_wrote(
    moments: list[int], data: st.DataObject
) -> None:
    rows = sorted(map(row, moments), key=lambda each: each.order)
    written = data.draw(st.integers(0, len(rows)))
    older = [row(-1, value=b'{"observedAt":-1}')] * data.draw(st.integers(0, 2))
    found = Planned(rows, [*older, *rows[:written]])
    assert [*rows[:written], *found.written] == rows
    assert found.plans.in_log == written
    assert found.plans.to_write == len(rows) - written
    assert found.plans.refused == []


def test_a_key_of_which_the_log_has_anything_else_that_is_newer_is_refused() -> None:
    found = Planned([row(1), row(2), row(1, b"b")], [row(1), row(3)])
    assert found.plans.refused == [RefusedKey("prices.raw", "a", 1, 3)]
    assert (found.plans.refused_rows, found.plans.to_write) == (2, 1)
    assert found.written == [row(1, b"b")]


@pytest.mark.parametrize(
    "logged",
    [
        [row(1), row(3)],
        [row(1), row(2, value=b'{"observedAt":2,"usd":"0.3"}'), row(3)],
        [row(1), row(2), row(3), row(4)],
    ],
    ids=["one is missing", "one is another", "one more"],
)
def test_what_is_nearly_the_same_is_not_what_was_written_before(
    logged: list[HistoryRow],
) -> None:
    found = Planned([row(1), row(2), row(3)], logged)
    assert found.written == []
    assert found.plans.refused_rows == 3


def test_what_another_said_at_the_first_moment_is_no_obstacle() -> None:
    other = row(1, value=b'{"observedAt":1,"source":"b"}')
    found = Planned([row(1), row(2)], [other])
    assert found.written == [row(1), row(2)]


def test_what_is_no_observation_or_of_other_keys_is_passed_over() -> None:
    strange = [row(5, value=b"nonsense"), row(9, key=b"z")]
    assert Planned([row(1)], strange).written == [row(1)]
    plans = KeyPlans()
    plans.logged("prices.raw", None, None)
    plans.decide()
    assert plans.to_write == 0


def test_there_is_a_limit_of_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_plan, "MAX_KEYS", 2)
    plans = KeyPlans()
    for key in (b"a", b"b", b"a"):
        plans.add(row(1, key))
    with pytest.raises(TooManyKeys, match="split the files"):
        plans.add(row(1, b"c"))


# ---- reports of files


def test_a_file_is_told_by_rows_keys_and_times() -> None:
    report = FileReport("one.csv", RULES)
    assert (report.rows, report.keys, report.first_ms, report.last_ms) == (
        0, 0, None, None,
    )  # fmt: skip
    for each in (row(5), row(3), row(9, b"b")):
        report.add(each)
    assert report.keys == 2
    report.end()
    assert (report.rows, report.keys, report.first_ms, report.last_ms) == (3, 2, 3, 9)
    assert report.layout is None
    assert report.unit is None


def test_the_unit_is_told_of_rows_of_prices_alone() -> None:
    report = FileReport("one.csv", RULES)
    report.reader.layout = Layout.PRICES
    assert report.unit is TimeUnit.MILLISECONDS
    report.reader.layout = Layout.RECORDS
    assert report.unit is None


def test_refused_rows_are_grouped_by_reason_with_the_first_of_each() -> None:
    report = FileReport("one.csv", RULES)
    for line in range(1, 6):
        report.refuse(RefusedRow("odd" if line % 2 else "even", f"{line}"), line)
    report.refuse(RefusedRow("odd", severity=Severity.LEFT_OUT), 9)
    found = [(each.first.reason, each.line, each.rows) for each in report.refused]
    assert found == [("odd", 1, 3), ("even", 2, 2), ("odd", 9, 1)]
    assert report.count(Severity.BAD) == 5
    assert report.count(Severity.LEFT_OUT) == 1


def test_of_very_many_reasons_the_rest_is_counted_together() -> None:
    report = FileReport("one.csv", RULES)
    for line in range(MAX_REASONS + 10):
        report.refuse(RefusedRow(f"reason {line}"), line)
    assert len(report.refused) == MAX_REASONS + 1
    assert report.refused[-1].first.reason == "refused for other reasons"
    assert report.refused[-1].rows == 10
    assert report.count(Severity.BAD) == MAX_REASONS + 10
