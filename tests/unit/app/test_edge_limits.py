"""The limits of the edge as settings, and what the edge is told."""

from pathlib import Path
from typing import Any

import pytest

from app import configs, settings_doc
from app.edge_limits import EdgeAccess, EdgeLimits
from app.errors import SettingsError
from app.settings import Settings, read
from edge.config import Access, Allowances
from edge.core.limits import Rate


def given(**settings: Any) -> Settings:
    return read(settings, env_file=None)


def allowed(**settings: Any) -> Allowances:
    return configs.edge_config(given(**settings)).allowances


def access(**settings: Any) -> Access:
    return configs.edge_config(given(**settings)).access


def test_by_default_a_client_may_do_what_any_client_does() -> None:
    assert allowed() == Allowances(
        ids_per_message=500,
        ids_per_client=5_000,
        messages=Rate(20, 100),
        errors=Rate(20 / 60, 20),
        refreshes_each=Rate(0.1),
        watched=10_000,
        new_watched_each=Rate(2, 120),
    )


def test_in_production_addresses_have_their_share() -> None:
    assert allowed(environment="production").connections_each == 200
    assert allowed(connections_per_address=7).connections_each == 7
    in_production = allowed(environment="production").http_bytes_each
    assert in_production == Rate(4_194_304, 67_108_864)
    assert allowed(http_bytes_per_s=5, http_burst_bytes=9).http_bytes_each == Rate(5, 9)


def test_zero_is_no_limit() -> None:
    none = allowed(
        ids_per_message=0,
        ids_per_connection=0,
        messages_per_s=0,
        errors_per_minute=0,
        refresh_per_address_s=0,
        watch_per_address=0,
        http_bytes_per_s=0,
    )
    assert (none.ids_per_message, none.ids_per_client) == (0, 0)
    rates = (none.messages, none.errors, none.refreshes_each, none.new_watched_each)
    assert not any(rate.is_limit for rate in (*rates, none.http_bytes_each))


def test_zero_messages_at_once_is_no_limit_either() -> None:
    assert not allowed(messages_burst=0).messages.is_limit
    nothing_at_once = allowed(http_bytes_per_s=5, http_burst_bytes=0)
    assert not nothing_at_once.http_bytes_each.is_limit


def test_tokens_and_networks_reach_the_edge_and_tokens_are_not_shown() -> None:
    found = access(
        metrics_token="m-secret",
        refresh_token="r-secret",
        proxies=("10.0.0.0/8",),
        tls_certificate="cert.pem",
    )
    assert (found.metrics_token, found.refresh_token) == ("m-secret", "r-secret")
    assert [f"{each}" for each in found.proxies] == ["10.0.0.0/8"]
    assert found.certificate == Path("cert.pem")
    assert "secret" not in f"{found}"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"proxies": ("10.0.0.0/33",)}, "STACKS_FEED_PROXIES"),
        ({"metrics_token": "ümlaut"}, "STACKS_FEED_METRICS_TOKEN"),
        ({"refresh_token": "two words"}, "STACKS_FEED_REFRESH_TOKEN"),
        ({"tls_key": "key.pem"}, "STACKS_FEED_TLS_CERTIFICATE"),
        ({"idle_s": 0}, "STACKS_FEED_IDLE_S"),
        ({"origins": ("https://a.example/path",)}, "STACKS_FEED_ORIGINS"),
        ({"origins": ("https://*.example",)}, "STACKS_FEED_ORIGINS"),
        (
            {"origins_with_credentials": ("*",)},
            "STACKS_FEED_ORIGINS_WITH_CREDENTIALS",
        ),
    ],
)
def test_what_cannot_be_is_named_and_never_shown(
    wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said) as told:
        given(**wrong)
    assert "two words" not in f"{told.value}"


def test_every_limit_stands_in_the_page() -> None:
    page = settings_doc.markdown()
    for part in (EdgeLimits, EdgeAccess):
        assert all(
            f"`STACKS_FEED_{name.upper()}`" in page for name in part.model_fields
        )
