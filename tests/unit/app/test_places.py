"""What ``--log`` may name."""

from pathlib import Path

import pytest

from app.errors import SettingsError
from app.places import Broker, File, parse_place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("data/x.sqlite", File(Path("data/x.sqlite"))),
        ("/abs/x.sqlite", File(Path("/abs/x.sqlite"))),
        ("sqlite:///data/x.sqlite", File(Path("data/x.sqlite"))),
        ("sqlite:////abs/x.sqlite", File(Path("/abs/x.sqlite"))),
        ("kafka://localhost:9092", Broker("localhost:9092")),
        ("kafka://a:1,b:2/", Broker("a:1,b:2")),
    ],
)
def test_a_file_and_a_broker_are_places(text: str, place: File | Broker) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no path"),
        ("sqlite://", "no path"),
        ("redis://localhost:1", "redis:// is not a log"),
        ("kafka://localhost", "'localhost' is not host:port"),
        ("kafka://", "'' is not host:port"),
        ("kafka://a:1,b", "'b' is not host:port"),
    ],
)
def test_anything_else_is_refused_with_what_would_do(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        parse_place(text)


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        parse_place("kafka://me:hunter2@host:9092")
    assert "hunter2" not in str(refused.value)
    assert "STACKS_FEED_KAFKA_PASSWORD" in str(refused.value)
