"""What several processes tell, joined: samples labelled, readiness of whoever is ready."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runtime.merging import merged_metrics, merged_reports
from runtime.metrics import render

ONE = """\
# HELP clients Connected clients
# TYPE clients gauge
clients{party="prices"} 3.0
# HELP keys Keys
# TYPE keys gauge
keys 7.0

"""
OTHER = """\
# HELP keys Keys
# TYPE keys gauge
keys 9.0
# HELP clients Connected clients
# TYPE clients gauge
clients{party="prices"} 4.0
clients{party="} odd"} 1.0
"""


def a_report(*reasons: str, **more: Any) -> dict[str, Any]:
    report = {"ready": not reasons, "reasons": [*reasons], "warnings": []}
    return report | more


def test_each_metric_stands_once_with_the_samples_of_all() -> None:
    joined = merged_metrics({"a": ONE, "b": OTHER})
    assert joined == (
        "# HELP clients Connected clients\n"
        "# TYPE clients gauge\n"
        'clients{process="a",party="prices"} 3.0\n'
        'clients{process="b",party="prices"} 4.0\n'
        'clients{process="b",party="} odd"} 1.0\n'
        "# HELP keys Keys\n"
        "# TYPE keys gauge\n"
        'keys{process="a"} 7.0\n'
        'keys{process="b"} 9.0\n'
    )


@given(st.lists(st.text("ab", min_size=1), unique=True))
def test_no_sample_is_lost_and_none_is_told_twice(names: list[str]) -> None:
    text = render()[0].decode()
    count = sum(not line.startswith("#") for line in text.splitlines())
    joined = merged_metrics(dict.fromkeys(names, text))
    samples = [line for line in joined.splitlines() if not line.startswith("#")]
    assert len(set(samples)) == len(samples) == count * len(names)
    heads = [line for line in joined.splitlines() if line.startswith("# TYPE")]
    assert len(set(heads)) == len(heads)


def test_one_that_is_ready_is_enough_and_the_others_are_warned_of() -> None:
    stale = a_report(warnings=["stale: shard 0"], pid=7)
    merged = merged_reports({"a": stale, "b": a_report("table: not read"), "c": None})
    assert merged.ready
    assert merged.body == {
        "ready": True,
        "reasons": [],
        "warnings": ["b: table: not read", "c: no answer", "a: stale: shard 0"],
        "processes": {
            "a": {"ready": True, "pid": 7},
            "b": {"ready": False},
            "c": {"ready": False},
        },
    }


def test_without_one_that_is_ready_the_reasons_of_all_are_told() -> None:
    merged = merged_reports({"a": a_report("table: stopping"), "b": None})
    assert not merged.ready
    assert merged.body["reasons"] == ["a: table: stopping", "b: no answer"]
    assert merged.body["warnings"] == []
