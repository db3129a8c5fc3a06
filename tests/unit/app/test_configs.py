"""Settings in, configs out: what follows from what."""

from pathlib import Path
from typing import Any

import pytest

from app import configs, settings
from app.errors import SettingsError
from app.places import Broker, File
from schemas.ids import Network
from schemas.log import World
from tests.support.identities import AN_IDENTITY


def read(**given: Any) -> settings.Settings:
    return settings.read(given, env_file=None)


LIVE: dict[str, Any] = {"live": True}
BROKER: dict[str, Any] = {"log": "kafka://b:9092", "environment": "production"}


def test_a_broker_needs_an_explicit_environment() -> None:
    with pytest.raises(SettingsError, match="explicit environment"):
        configs.place_of(read(log="kafka://b:9092"))
    assert configs.place_of(read(**BROKER)) == Broker("b:9092")
    assert configs.place_of(read(log="x.sqlite")) == File(Path("x.sqlite"))


def test_a_new_log_follows_the_world_and_the_kind_of_log() -> None:
    simulated = configs.wanted_log(read())
    assert (simulated.partitions, simulated.audit_days) == (2, 2)
    assert simulated.world is World.SIMULATED
    live = configs.wanted_log(read(**BROKER))
    assert (live.partitions, live.audit_days, live.world) == (6, 0, World.LIVE)
    said = configs.wanted_log(read(partitions=4, audit_days=9))
    assert (said.partitions, said.audit_days) == (4, 9)


def test_a_plain_broker_has_no_security_and_production_three_copies() -> None:
    config = configs.kafka_config(read(**BROKER, log_prefix="p."), Broker("b:9092"))
    assert (config.bootstrap, config.prefix, config.security) == ("b:9092", "p.", None)
    assert config.replication == 3
    development = {**BROKER, "environment": "development"}
    assert configs.kafka_config(read(**development), Broker("b:1")).replication == 1


def test_a_broker_with_security_needs_user_and_password() -> None:
    with pytest.raises(SettingsError, match="STACKS_FEED_KAFKA_PASSWORD"):
        configs.kafka_config(read(**BROKER, kafka_protocol="SASL_SSL"), Broker("b:1"))


def test_the_password_reaches_the_driver_and_no_text() -> None:
    given = read(
        **BROKER, kafka_protocol="SASL_SSL", kafka_user="me", kafka_password="hunter2"
    )
    config = configs.kafka_config(given, Broker("b:1"))
    assert config.security is not None
    assert config.security.password == "hunter2"
    assert "hunter2" not in repr(config)


def test_tls_alone_needs_no_user() -> None:
    config = configs.kafka_config(read(**BROKER, kafka_protocol="SSL"), Broker("b:1"))
    assert config.security is not None
    assert config.security.password is None


def test_upstreams_are_the_simulator_or_the_real_ones_or_what_is_set() -> None:
    simulated = configs.urls(read(simulator_url="http://s:1/"))
    assert simulated.kraxel == "http://s:1/kraxel"
    assert simulated.push == "ws://s:1/hiro/extended/v1/ws"
    live = configs.urls(read(**LIVE, tokens_url="http://mirror/"))
    assert live.hiro == "https://api.hiro.so"
    assert live.push == "wss://api.hiro.so/extended/v1/ws"
    assert live.tokens == "http://mirror"
    assert configs.urls(read(push_url="wss://p/x")).push == "wss://p/x"
    assert configs.simulator_url(read()) == "http://127.0.0.1:1998"


def test_the_simulator_is_asked_often_and_the_real_upstreams_politely() -> None:
    simulated = configs.ingest_config(read())
    assert simulated.price_interval_s == 15
    assert simulated.price_sources == ("kraxel", "stxtools", "internal")
    assert simulated.hiro.limits.per_minute == 60_000
    live = configs.ingest_config(read(**LIVE))
    assert (live.price_interval_s, live.first_price_s) == (300, 3)
    assert live.price_sources == ("stxtools", "internal")
    assert live.hiro.limits.per_minute == 25
    keyed = configs.ingest_config(read(**LIVE, hiro_api_key="hunter2"))
    assert (keyed.hiro.limits.per_minute, keyed.hiro.limits.per_month) == (500, 150_000)
    assert keyed.api_key == "hunter2"
    assert "hunter2" not in repr(keyed)


def test_what_is_set_for_ingest_wins_over_what_follows() -> None:
    config = configs.ingest_config(
        read(
            first_price_s=0,
            balance_interval_s=7,
            accounts_api="v3",
            push=False,
            hiro_per_minute=5,
            instance="me",
            network=Network.TESTNET,
        )
    )
    assert (config.first_price_s, config.pace.interval_s) == (0, 7)
    assert (config.generation, config.push.url) == (3, None)
    assert (config.hiro.limits.per_minute, config.instance) == (5, "me")
    assert config.network is Network.TESTNET


def test_the_simulator_is_told_its_seed_and_size() -> None:
    config = configs.simulator_config(read(simulator_seed=7, simulator_accounts=10))
    assert (config.seed, config.accounts, config.network) == (7, 10, "mainnet")


def test_the_fold_is_told_in_milliseconds() -> None:
    fold = configs.fold_settings(
        read(price_max_age_s=1.5, price_deviation="0.01", price_frozen_s=2)
    )
    assert (fold.price_max_age_ms, fold.price_deviation) == (1_500, "0.01")
    assert (fold.price_frozen_ms, fold.price_jump_factor) == (2_000, 10)
    assert configs.fold_settings(read(price_jump_factor=0)).price_jump_factor == 0


def test_the_processor_is_told_its_name_and_the_settings_of_the_fold() -> None:
    given = read(instance="me", future_tolerance_s=1)
    config = configs.processor_config(given)
    assert config.instance == "me"
    assert config.fold == configs.fold_settings(given)
    assert config.accept_loss == frozenset()


def test_the_edge_is_told_where_it_listens_and_who_may_read_it() -> None:
    edge = configs.edge_config(read(instance="e1", port=7, lease_s=60))
    assert (edge.instance, edge.port, edge.lease_s) == ("e1", 7, 60)
    assert edge.origins == ("*",)
    assert configs.edge_config(read(live=True)).origins == ("*",)
    production = configs.edge_config(read(environment="production"))
    assert (production.origins, production.origins_with_credentials) == ((), ())
    said = configs.edge_config(
        read(
            origins=("https://a.example",), origins_with_credentials=("http://b:3000",)
        )
    )
    assert said.origins == ("https://a.example",)
    assert said.origins_with_credentials == ("http://b:3000",)


def test_the_audit_is_told_when_snapshots_are_due_and_which_gaps_are_accepted() -> None:
    given = read(snapshot_interval_s=60, accept_loss="prices.raw[0]@5,tokens.raw[1]@7")
    watch = configs.watch_config(given, identity=AN_IDENTITY)
    assert watch.identity == AN_IDENTITY.digest
    assert watch.snapshot_interval_ms == 60_000
    assert watch.snapshot_observations == 5_000_000
    assert watch.accepted == {"prices.raw[0]@5", "tokens.raw[1]@7"}
    assert watch.lost_before_ms is None


def test_the_audit_is_told_before_when_history_may_be_gone() -> None:
    assert configs.lost_before_ms(read(audit_from="2009-02-13T23:31:30Z")) == (
        1_234_567_890_000
    )
    for text in ("now", "cut:01234567:1", "x"):
        with pytest.raises(SettingsError, match="STACKS_FEED_AUDIT_FROM"):
            configs.lost_before_ms(read(audit_from=text))


def test_an_instance_has_a_name_of_its_own_that_a_record_can_hold() -> None:
    name = configs.instance_name(read())
    assert settings.read({"instance": name}, env_file=None).instance == name


def test_clients_are_sent_away_slowly_where_many_may_depend_on_it() -> None:
    assert configs.drain_s(read()) == 0
    assert configs.drain_s(read(**BROKER)) == 10
    assert configs.drain_s(read(**BROKER, drain_s=0)) == 0
    assert (
        configs.drain_s(read(drain_s=3)) == configs.edge_config(read(drain_s=3)).drain_s
    )
    assert configs.stop_s(read(drain_s=3)) == 8


def test_an_edge_shares_its_port_where_it_is_one_of_several() -> None:
    alone, worker = (
        configs.edge_config(read()),
        configs.edge_config(read(together_port=9)),
    )
    assert (alone.shares_port, worker.shares_port) == (False, True)


@pytest.mark.parametrize(
    ("given", "old_s"),
    [
        ({}, 60.0),
        ({"live": True}, 600.0),
        ({"live": True, "price_interval_s": 20}, 60.0),
        ({"price_interval_s": 20, "silence_floor_s": 5}, 40.0),
    ],
)
def test_an_edge_calls_prices_old_after_two_of_their_intervals(
    given: dict[str, Any], old_s: float
) -> None:
    assert configs.edge_config(read(**given)).prices_old_s == old_s
