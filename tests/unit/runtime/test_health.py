"""Readiness is what the named checks say now."""

from runtime.health import Health


def test_a_process_without_checks_is_ready() -> None:
    assert Health().reasons() == {}
    assert Health().report().body() == {"ready": True, "reasons": [], "warnings": []}


def test_the_reasons_are_those_of_the_checks_that_complain_now() -> None:
    health, wrong = Health(), {"log": "gone", "table": "not caught up"}
    health.add("log", lambda: wrong.get("log"))
    health.add("table", lambda: wrong.get("table"))
    assert health.reasons() == wrong
    del wrong["log"]
    assert health.reasons() == {"table": "not caught up"}


def test_a_check_that_is_dropped_has_no_say() -> None:
    health = Health()
    health.add("start", lambda: "starting")
    health.drop("start")
    health.drop("start")
    assert health.reasons() == {}


def test_a_warning_does_not_make_a_process_unready() -> None:
    health = Health()
    health.warn("upstreams", lambda: "hiro is left alone")
    health.warn("clock", lambda: None)
    health.tell("shards", lambda: [1])
    report = health.report()
    assert report.ready
    assert report.warnings == {"upstreams": "hiro is left alone"}
    assert report.body() == {
        "ready": True,
        "reasons": [],
        "warnings": ["upstreams: hiro is left alone"],
        "shards": [1],
    }


def test_gauges_are_set_each_time_they_are_asked_for() -> None:
    health, asked = Health(), []
    health.measure(lambda: asked.append("one"))
    health.measure(lambda: asked.append("other"))
    health.measured()
    health.measured()
    assert asked == ["one", "other"] * 2


def test_a_fact_that_is_not_known_is_not_told() -> None:
    health = Health()
    known: dict[str, int] = {}
    health.tell("age", lambda: known.get("age"))
    assert "age" not in health.report().body()
    known["age"] = 0
    assert health.report().body()["age"] == 0
