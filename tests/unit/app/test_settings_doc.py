"""The generated page names every setting."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from app import configs, settings_doc
from app.places import Broker
from app.sections import SECTIONS
from app.settings import Settings, read, variable
from edge.core.limits import NO_LIMIT
from ingest.config import IngestConfig


def test_the_page_lists_every_setting_once() -> None:
    page = settings_doc.markdown()
    for part in SECTIONS:
        for name in part.model_fields:
            assert page.count(f"| `{variable(name)}` |") == 1


def test_the_page_says_what_values_a_setting_takes() -> None:
    page = settings_doc.markdown()
    assert "| `STACKS_FEED_PORT` | integer | `1999` |" in page
    assert "| `STACKS_FEED_LIVE` | `true`, `false` | `false` |" in page
    assert "| `STACKS_FEED_NETWORK` | `mainnet`, `testnet` | `mainnet` |" in page
    assert "| `STACKS_FEED_HIRO_API_KEY` | secret |  |" in page
    assert "| `STACKS_FEED_PRICE_SOURCES` | JSON list |  |" in page
    assert "| `STACKS_FEED_KAFKA_CA_FILE` | path |  |" in page


def test_the_page_is_written_where_it_belongs() -> None:
    Path("docs").mkdir()
    settings_doc.main()
    assert settings_doc.PAGE.read_text() == settings_doc.markdown()


def _said(name: str) -> str:
    """Return what the page says of the default of a setting."""
    row = re.search(
        rf"^\| `{variable(name)}` .*$", settings_doc.markdown(), re.MULTILINE
    )
    assert row is not None
    return re.split(r"[Dd]efault ", row[0].removesuffix(" |"), maxsplit=1)[1]


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("price_interval_s", lambda config: config.price_interval_s),
        ("first_price_s", lambda config: config.first_price_s),
        ("balance_interval_s", lambda config: config.pace.interval_s),
        ("token_interval_s", lambda config: config.token_interval_s),
        ("source_per_minute", lambda config: config.kraxel.limits.per_minute),
        ("price_sources", lambda config: list(config.price_sources)),
    ],
)
def test_the_page_tells_the_defaults_by_which_upstreams_are_read(
    name: str, used: Callable[[IngestConfig], object]
) -> None:
    live, simulated = (
        used(configs.ingest_config(read({"live": is_live})))
        for is_live in (True, False)
    )
    said = _said(name).replace("`", "").removesuffix(" against the simulator")
    first, second = said.split(", ")
    assert (json.loads(first), json.loads(second)) == (live, simulated)


def test_the_page_tells_the_defaults_of_requests_to_hiro() -> None:
    def limits(**settings: object) -> tuple[object, ...]:
        hiro = configs.ingest_config(read(settings)).hiro.limits
        return hiro.per_minute, hiro.per_month

    with_key = limits(live=True, hiro_api_key="key")
    without, simulated = limits(live=True), limits(hiro_api_key="key")
    assert _said("hiro_per_minute") == (
        f"{with_key[0]} with a key, {without[0]} without, "
        f"{simulated[0]} against the simulator"
    )
    assert (without[1], simulated[1]) == (None, None)
    assert _said("hiro_per_month") == (
        f"{with_key[1]} with a key, no limit without or against the simulator"
    )


@pytest.mark.parametrize(
    ("name", "used", "joined"),
    [
        ("drain_s", configs.drain_s, "{0:g} in production, else {1:g}"),
        (
            "kafka_replication",
            lambda settings: configs.kafka_config(settings, Broker("b:1")).replication,
            "{0} in production, else {1}",
        ),
        (
            "connections_per_address",
            lambda settings: configs.edge_config(settings).allowances.connections_each,
            "{0} in production, else {1}",
        ),
    ],
)
def test_the_page_tells_the_defaults_of_production(
    name: str, used: Callable[[Settings], object], joined: str
) -> None:
    both = [used(read({"environment": e})) for e in ("production", "development")]
    assert _said(name) == joined.format(*both)


def test_the_page_tells_how_many_bytes_of_answers_an_address_may_have() -> None:
    production, development = (
        configs.edge_config(read({"environment": e})).allowances.http_bytes_each
        for e in ("production", "development")
    )
    assert development == NO_LIMIT
    assert _said("http_bytes_per_s") == f"{production.per_s} in production, else 0"


def test_the_page_tells_into_how_many_partitions_a_log_is_divided() -> None:
    broker = read({"log": "kafka://b:1", "environment": "development"})
    counts = [configs.wanted_log(each).partitions for each in (broker, read())]
    assert _said("partitions") == "{} on a broker, {} in SQLite".format(*counts)


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("hiro_url", lambda urls: urls.hiro),
        ("kraxel_url", lambda urls: urls.kraxel),
        ("stxtools_url", lambda urls: urls.stxtools),
        ("invest_url", lambda urls: urls.invest),
        ("tokens_url", lambda urls: urls.tokens),
    ],
)
def test_the_page_tells_which_upstreams_are_read(
    name: str, used: Callable[[configs.Urls], str]
) -> None:
    url = used(configs.urls(read({"live": True})))
    assert _said(name) == f"{url}, or the simulator"


def test_the_push_server_is_that_of_the_hiro_api_that_is_read() -> None:
    path = _said("push_url").split("`")[1]
    other = configs.urls(read({"hiro_url": "https://hiro.example"}))
    assert other.push == f"wss://hiro.example{path}"
