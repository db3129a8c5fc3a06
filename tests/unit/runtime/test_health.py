"""Readiness is what the named checks say now."""

from runtime.health import Health


def test_a_process_without_checks_is_ready() -> None:
    assert Health().reasons() == {}


def test_the_reasons_are_those_of_the_checks_that_complain_now() -> None:
    health, wrong = Health(), {"log": "gone", "table": "not caught up"}
    health.add("log", lambda: wrong.get("log"))
    health.add("table", lambda: wrong.get("table"))
    assert health.reasons() == wrong
    del wrong["log"]
    assert health.reasons() == {"table": "not caught up"}
