"""Where a process kills itself: a setting for tests that production refuses."""

from pathlib import Path

import pytest

from app import configs, settings
from app.errors import SettingsError
from app.places import Broker
from app.settings import Settings
from runtime.crash import OnStep, no_step


def of_all(given: Settings) -> list[OnStep]:
    """Return what each config that these settings fill does at a step."""
    return [
        configs.kafka_config(given, Broker("b:9092")).on_step,
        configs.ingest_config(given).on_step,
        configs.processor_config(given).on_step,
        configs.edge_config(given).on_step,
    ]


def test_no_part_crashes_unless_told_to() -> None:
    assert of_all(settings.read()) == [no_step] * 4


def test_every_part_is_told_where_to_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STACKS_FEED_CRASH_AT", "commit-written:3")
    told = of_all(settings.read())
    assert no_step not in told
    for on_step in told:
        on_step("commit-written")


def test_a_step_that_does_not_exist_is_refused_with_those_that_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STACKS_FEED_CRASH_AT", "hunter2:3")
    with pytest.raises(SettingsError, match=r"STACKS_FEED_CRASH_AT: .*commit-written"):
        settings.read()
    with pytest.raises(SettingsError) as refused:
        settings.read()
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("where", ["environment", "file"])
def test_production_never_crashes_by_a_setting(
    monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setenv("STACKS_FEED_ENVIRONMENT", "production")
    if where == "environment":
        monkeypatch.setenv("STACKS_FEED_CRASH_AT", "folded")
    else:
        Path(".env").write_text("STACKS_FEED_CRASH_AT=folded\n")
    with pytest.raises(SettingsError, match=r"STACKS_FEED_CRASH_AT: .*production"):
        settings.read()
    monkeypatch.setenv("STACKS_FEED_ENVIRONMENT", "development")
    assert settings.read().crash_at == "folded"
