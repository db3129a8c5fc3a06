"""`settings` prints what docs/settings.md says."""

from pathlib import Path

import pytest

from app.cli import main
from app.settings_doc import markdown


@pytest.mark.parametrize("where", ["environment", "file"])
@pytest.mark.parametrize(
    "command", [["settings"], ["health", "http://127.0.0.1:1"], ["doctor"], ["tail"]]
)
def test_a_misspelt_setting_is_2_and_the_nearest_name_in_every_command(
    command: list[str],
    where: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if where == "environment":
        monkeypatch.setenv("STACKS_FEED_PRT", "1")
    else:
        Path(".env").write_text("STACKS_FEED_PRT=1\n")
    assert main(command) == 2
    said = capsys.readouterr()
    assert said.err == (
        f"stacks-feed {command[0]}: STACKS_FEED_PRT is not a setting; did you mean "
        "STACKS_FEED_PORT?\n"
    )
    # Whoever is sent to the list finds it.
    assert ("STACKS_FEED_PORT" in said.out) is (command == ["settings"])


def test_a_malformed_setting_is_2_after_the_list(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STACKS_FEED_PORT", "many")
    assert main(["settings"]) == 2
    said = capsys.readouterr()
    assert "STACKS_FEED_PORT: Input should be a valid integer" in said.err
    assert said.out.startswith("# Settings")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LOG", "redis://x", "redis:// is not a log"),
        ("LOG", "kafka://x", "'x' is not host:port"),
        ("LOG", "kafka://x:1", "set STACKS_FEED_ENVIRONMENT"),
        ("LOG", "sqlite://", "the log has no path"),
        ("LOG", ".", "is a folder"),
        ("AUDIT_FROM", "soon", "'soon' is no time"),
        ("TLS_CERTIFICATE", "nothing.pem", "nothing.pem"),
        *(
            (name, url, "no http:// or https:// address of a host")
            for name in ("HIRO_URL", "TOKENS_URL", "SIMULATOR_URL")
            for url in (
                *("http://", "https:///path", "api.hiro.so", "ftp://x", "wss://x"),
                *("http://x:99999", "http://x:0", "http://x:many", "http://x y"),
                "http://[::1",
            )
        ),
        ("PUSH_URL", "https://x", "no ws:// or wss:// address of a host"),
    ],
)
def test_a_setting_that_no_service_could_use_is_2(
    name: str,
    value: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(f"STACKS_FEED_{name}", value)
    assert main(["settings"]) == 2
    told = capsys.readouterr()
    (line,) = told.err.splitlines()
    assert said in line
    assert told.out.startswith("# Settings")


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"KAFKA_PROTOCOL": "SASL_SSL"}, 2),
        ({"KAFKA_CA_FILE": "nothing.pem", "KAFKA_PROTOCOL": "SSL"}, 2),
        ({"KAFKA_PROTOCOL": "SSL"}, 0),
    ],
)
def test_a_broker_that_cannot_be_spoken_to_is_2(
    settings: dict[str, str], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"STACKS_FEED_{name}", value)
    monkeypatch.setenv("STACKS_FEED_LOG", "kafka://broker:9092")
    monkeypatch.setenv("STACKS_FEED_ENVIRONMENT", "development")
    assert main(["settings"]) == code


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HIRO_URL", "https://api.example/hiro"),
        ("HIRO_URL", "http://[::1]:8080"),
        ("PUSH_URL", "ws://127.0.0.1:1/ws"),
        ("LOG", "sqlite:///data/log.sqlite"),
    ],
)
def test_a_setting_that_can_be_used_is_0(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"STACKS_FEED_{name}", value)
    assert main(["settings"]) == 0


def test_the_settings_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings"]) == 0
    assert capsys.readouterr().out.rstrip("\n") == markdown().rstrip("\n")
