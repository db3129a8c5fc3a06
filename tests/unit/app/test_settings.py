"""Settings: read from environment and .env, refused in one line without a value."""

from pathlib import Path

import pytest

from app import settings
from app.errors import SettingsError
from schemas.log import World


def test_without_anything_set_it_is_development_against_the_simulator() -> None:
    read = settings.read()
    assert read.environment is None
    assert read.environment_name == "development"
    assert read.world is World.SIMULATED
    assert read.simulated
    assert read.port == 1999


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("STACKS_FEED_LIVE", "true", id="live"),
        pytest.param("STACKS_FEED_ENVIRONMENT", "production", id="production"),
    ],
)
def test_the_world_is_live_when_asked_for_and_always_in_production(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert settings.read().world is World.LIVE


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text(
        "STACKS_FEED_PORT=1\nSTACKS_FEED_LOG=a\nSTACKS_FEED_HOST=h\nOTHER=1\n"
    )
    monkeypatch.setenv("STACKS_FEED_PORT", "2")
    monkeypatch.setenv("STACKS_FEED_LOG", "b")
    read = settings.read({"log": "c"})
    assert (read.host, read.port, read.log) == ("h", 2, "c")


def test_an_empty_value_is_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STACKS_FEED_PORT", "")
    assert settings.read().port == 1999


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("STACKS_FEED_PORT", "hunter2", "STACKS_FEED_PORT: Input should be"),
        ("STACKS_FEED_NETWORK", "hunter2", "'mainnet' or 'testnet'"),
        ("STACKS_FEED_PRICE_SOURCES", "hunter2", "STACKS_FEED_PRICE_SOURCES: "),
        ("STACKS_FEED_PRICE_SOURCES", '["hunter2"]', "STACKS_FEED_PRICE_SOURCES: "),
        ("STACKS_FEED_PRT", "hunter2", "did you mean STACKS_FEED_PORT?"),
        ("STACKS_FEED_XYZZY", "hunter2", "is not a setting"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line_that_holds_no_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        settings.read()
    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_misspelt_setting_in_the_file_is_refused_too() -> None:
    Path(".env").write_text("STACKS_FEED_PRT=1\n")
    with pytest.raises(SettingsError, match="STACKS_FEED_PORT"):
        settings.read()


def test_a_file_that_is_not_text_is_refused() -> None:
    Path(".env").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not UTF-8"):
        settings.read()


def test_secrets_are_not_in_the_text_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STACKS_FEED_HIRO_API_KEY", "hunter2")
    monkeypatch.setenv("STACKS_FEED_KAFKA_PASSWORD", "hunter2")
    assert "hunter2" not in repr(settings.read())


def test_a_child_gets_this_environment_with_settings_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STACKS_FEED_PORT", "1")
    monkeypatch.setenv("SOMETHING", "else")
    child = settings.environment({"port": 2, "live": "false"})
    assert child["STACKS_FEED_PORT"] == "2"
    assert child["STACKS_FEED_LIVE"] == "false"
    assert child["SOMETHING"] == "else"
