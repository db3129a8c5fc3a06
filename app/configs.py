"""Settings in, each part's config out; what depends on another setting is decided here."""

import os
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from app import defaults
from app.edge_limits import access, allowances
from app.errors import SettingsError
from app.places import Broker, File, Place, parse_place
from app.ports import local_address
from app.settings import Settings
from app.topics import Wanted
from audit.core.cuts import NotACut, parse_moment
from runtime.crash import crash_at
from runtime.supervisor import STOP_DEADLINE_S
from runtime.trouble import Trouble
from schemas.journal import FoldSettings
from schemas.log import LogIdentity

if TYPE_CHECKING:
    from audit.config import WatchConfig
    from edge.config import EdgeConfig
    from eventlog.kafka import KafkaConfig, KafkaSecurity
    from ingest.config import IngestConfig
    from processor.config import ProcessorConfig
    from simulator.config import SimulatorConfig


def place_of(settings: Settings) -> Place:
    """Return where the log is.

    Raises ``SettingsError`` for a broker without an explicit environment: whoever points
    at a broker must say whether simulated data may go there.
    """
    place = parse_place(settings.log)
    if isinstance(place, Broker) and settings.environment is None:
        raise SettingsError(
            f"a log at {settings.log} needs an explicit environment; set "
            "STACKS_FEED_ENVIRONMENT=production (reads the real upstreams) or "
            "=development (simulated, unless --live)"
        )
    return place


def check(settings: Settings) -> None:
    """Raise ``SettingsError`` for settings that no model refuses and no service can use.

    ``stacks-feed settings`` says so before anything is started.
    """
    place = place_of(settings)
    if isinstance(place, Broker):
        kafka_config(settings, place)
        ca_file = settings.kafka_ca_file
        if ca_file is not None and not ca_file.is_file():
            raise SettingsError(f"STACKS_FEED_KAFKA_CA_FILE: {ca_file} is no file")
    elif place.path.is_dir():
        raise SettingsError(f"STACKS_FEED_LOG: {place.path} is a folder, no file")
    lost_before_ms(settings)


def wanted_log(settings: Settings) -> Wanted:
    """Return what the log is to be where it does not exist yet."""
    on_broker = isinstance(parse_place(settings.log), Broker)
    partitions = defaults.BROKER_PARTITIONS if on_broker else defaults.SQLITE_PARTITIONS
    audit_days = defaults.SIMULATED_AUDIT_DAYS if settings.simulated else 0
    return Wanted(
        network=settings.network,
        world=settings.world,
        partitions=settings.partitions or partitions,
        audit_days=audit_days if settings.audit_days is None else settings.audit_days,
    )


def kafka_config(settings: Settings, broker: Broker) -> "KafkaConfig":
    """Return how the broker is reached."""
    from eventlog.kafka import KafkaConfig  # noqa: PLC0415 - only where a broker is used

    replication = (
        defaults.PRODUCTION_REPLICATION
        if settings.environment == "production"
        else defaults.DEVELOPMENT_REPLICATION
    )
    return KafkaConfig(
        bootstrap=broker.bootstrap,
        prefix=settings.log_prefix,
        security=_kafka_security(settings),
        replication=settings.kafka_replication or replication,
        topic_configs=settings.kafka_topic_configs,
        session_timeout_ms=round(settings.kafka_session_timeout_s * 1_000),
        on_step=crash_at(settings.crash_at),
        new_trouble=Trouble,
    )


def _kafka_security(settings: Settings) -> "KafkaSecurity | None":
    from eventlog.kafka import KafkaSecurity  # noqa: PLC0415 - only where a broker is used

    if settings.kafka_protocol == "PLAINTEXT":
        return None
    secret = settings.kafka_password
    if settings.kafka_protocol.startswith("SASL") and not (
        settings.kafka_user and secret
    ):
        raise SettingsError(
            f"STACKS_FEED_KAFKA_PROTOCOL={settings.kafka_protocol} needs "
            "STACKS_FEED_KAFKA_USER and STACKS_FEED_KAFKA_PASSWORD"
        )
    return KafkaSecurity(
        protocol=settings.kafka_protocol,
        mechanism=settings.kafka_mechanism,
        user=settings.kafka_user,
        password=secret.get_secret_value() if secret else None,
        ca_file=settings.kafka_ca_file,
    )


@dataclass(frozen=True, slots=True)
class Urls:
    """Where each upstream is."""

    hiro: str
    push: str
    kraxel: str
    stxtools: str
    invest: str
    tokens: str


def urls(settings: Settings) -> Urls:
    """Return where each upstream is: what is set, else the simulator or the real one."""
    base = simulator_url(settings)
    live = not settings.simulated

    def chosen(said: str | None, real: str, simulated: str) -> str:
        return (said or (real if live else f"{base}/{simulated}")).rstrip("/")

    hiro = chosen(settings.hiro_url, defaults.HIRO_URL, "hiro")
    push = settings.push_url or f"ws{hiro.removeprefix('http')}{defaults.PUSH_PATH}"
    return Urls(
        hiro=hiro,
        push=push,
        kraxel=chosen(settings.kraxel_url, defaults.KRAXEL_URL, "kraxel"),
        stxtools=chosen(settings.stxtools_url, defaults.STXTOOLS_URL, "stxtools"),
        invest=chosen(settings.invest_url, defaults.INVEST_URL, "invest"),
        tokens=chosen(settings.tokens_url, defaults.TOKENS_URL, "tokens"),
    )


def simulator_url(settings: Settings) -> str:
    """Return where the simulator is, or would be."""
    host, port = settings.simulator_host, settings.simulator_port
    default = f"http://{local_address(host, port)}"
    return (settings.simulator_url or default).rstrip("/")


def ingest_config(settings: Settings) -> "IngestConfig":
    """Return what ingest must be told; the simulator is asked much more often."""
    from ingest.config import (  # noqa: PLC0415 - each process loads its service alone
        STXTOOLS_BODY_BYTES,
        IngestConfig,
        PushConfig,
        Upstream,
    )
    from ingest.core.budget import Limits  # noqa: PLC0415
    from ingest.core.schedule import Pace  # noqa: PLC0415

    at, pace = urls(settings), _upstream_defaults(settings)
    key = settings.hiro_api_key

    def upstream(url: str, limits: Limits) -> Upstream:
        return Upstream(url, limits, timeout_s=settings.request_timeout_s)

    others = Limits(per_minute=settings.source_per_minute or pace.source_per_minute)
    return IngestConfig(
        instance=instance_name(settings),
        network=settings.network,
        hiro=upstream(
            at.hiro, Limits(*_hiro_limits(settings), per_second=pace.per_second)
        ),
        kraxel=upstream(at.kraxel, others),
        stxtools=replace(
            upstream(at.stxtools, others), max_body_bytes=STXTOOLS_BODY_BYTES
        ),
        invest=upstream(at.invest, others),
        tokens=upstream(at.tokens, others),
        push=PushConfig(
            url=at.push if settings.push else None,
            connections=settings.push_connections,
        ),
        api_key=key.get_secret_value() if key else None,
        price_sources=settings.price_sources or pace.price_sources,
        first_price_s=_said(settings.first_price_s, pace.first_price_s),
        price_interval_s=_said(settings.price_interval_s, pace.price_interval_s),
        pace=Pace(
            interval_s=_said(settings.balance_interval_s, pace.balance_interval_s),
            cold_s=pace.cold_s,
        ),
        token_interval_s=_said(settings.token_interval_s, pace.token_interval_s),
        silence_floor_s=settings.silence_floor_s,
        generation=int(settings.accounts_api.removeprefix("v")),
        watch_max=settings.watch_max,
        buffer_records=settings.buffer_records,
        on_step=crash_at(settings.crash_at),
    )


def _upstream_defaults(settings: Settings) -> defaults.Upstreams:
    return defaults.SIMULATED if settings.simulated else defaults.LIVE


def _said(setting: float | None, default: float) -> float:
    return default if setting is None else setting


def _hiro_limits(settings: Settings) -> tuple[int, int | None]:
    """Return requests a minute and a month."""
    if settings.simulated:
        limits: tuple[int, int | None] = (defaults.HIRO_PER_MINUTE_SIMULATED, None)
    elif settings.hiro_api_key:
        limits = (defaults.HIRO_PER_MINUTE_WITH_KEY, defaults.HIRO_PER_MONTH_WITH_KEY)
    else:
        limits = (defaults.HIRO_PER_MINUTE_WITHOUT, None)
    return settings.hiro_per_minute or limits[0], settings.hiro_per_month or limits[1]


def simulator_config(settings: Settings) -> "SimulatorConfig":
    """Return what the simulator must be told."""
    from simulator.config import SimulatorConfig  # noqa: PLC0415 - each process loads its service alone

    return SimulatorConfig(
        seed=settings.simulator_seed,
        host=settings.simulator_host,
        port=settings.simulator_port,
        network=settings.network.value,
        tokens=settings.simulator_tokens,
        accounts=settings.simulator_accounts,
        tick_s=settings.simulator_tick_s,
    )


_ACCOUNTS_LOOKED_AT = 200


def example_account(settings: Settings) -> str:
    """Return an account of the simulated world that holds several tokens."""
    from simulator.core.genesis import example_account as chosen  # noqa: PLC0415 - only for the banner of `up`
    from simulator.core.world import build  # noqa: PLC0415 - as above

    config = simulator_config(settings)
    world = build(
        config.seed,
        network=config.network,
        tokens=config.tokens,
        subnets=config.subnets,
        accounts=min(config.accounts, _ACCOUNTS_LOOKED_AT),
    )
    return chosen(world)


def fold_settings(settings: Settings) -> FoldSettings:
    """Return the settings that decide what is published."""
    return FoldSettings(
        price_max_age_ms=round(settings.price_max_age_s * 1_000),
        price_deviation=settings.price_deviation,
        future_tolerance_ms=round(settings.future_tolerance_s * 1_000),
        price_frozen_ms=round(settings.price_frozen_s * 1_000),
        price_jump_factor=settings.price_jump_factor,
    )


def processor_config(settings: Settings) -> "ProcessorConfig":
    """Return what the processor must be told."""
    from processor.config import ProcessorConfig  # noqa: PLC0415 - each process loads its service alone

    return ProcessorConfig(
        instance=instance_name(settings),
        fold=fold_settings(settings),
        accept_loss=accepted_gaps(settings),
        on_step=crash_at(settings.crash_at),
    )


def accepted_gaps(settings: Settings) -> frozenset[str]:
    """Return the names of the gaps in raw topics that are to be passed over."""
    return frozenset(filter(None, settings.accept_loss.split(",")))


def watch_config(settings: Settings, *, identity: LogIdentity) -> "WatchConfig":
    """Return what the audit must be told that follows a log."""
    from audit.config import WatchConfig  # noqa: PLC0415 - each process loads its service alone

    return WatchConfig(
        instance=instance_name(settings),
        accepted=accepted_gaps(settings),
        identity=identity.digest,
        lost_before_ms=lost_before_ms(settings),
        snapshot_interval_ms=round(settings.snapshot_interval_s * 1_000),
        snapshot_observations=settings.snapshot_observations,
    )


def lost_before_ms(settings: Settings) -> int | None:
    """Return the moment before which the audit may do without history.

    Raises ``SettingsError`` for what is no time.
    """
    if settings.audit_from is None:
        return None
    try:
        moment = parse_moment(settings.audit_from)
    except NotACut:
        moment = None
    if not isinstance(moment, int):
        raise SettingsError(
            f"STACKS_FEED_AUDIT_FROM (`--from`): {settings.audit_from!r} is no time; give "
            "one as 2026-11-24T14:03:00Z, in UTC without a zone"
        )
    return moment


def index_path(settings: Settings) -> Path:
    """Return the file of the audit's index."""
    if settings.audit_index is not None:
        return settings.audit_index
    match place_of(settings):
        case File(path):
            return path.with_name(f"{path.name}.index")
        case _:
            return Path("data/audit-index.sqlite")


def edge_config(settings: Settings) -> "EdgeConfig":
    """Return what the edge must be told."""
    from edge.config import EdgeConfig  # noqa: PLC0415 - each process loads its service alone

    in_production = settings.environment == "production"
    return EdgeConfig(
        instance=instance_name(settings),
        host=settings.host,
        port=settings.port,
        origins=origins(settings),
        origins_with_credentials=settings.origins_with_credentials or (),
        lease_s=settings.lease_s,
        refresh_interval_s=settings.refresh_interval_s,
        message_bytes=settings.message_bytes,
        deflate=settings.deflate,
        client_buffer_bytes=settings.client_buffer_bytes,
        answer_bytes=settings.answer_bytes,
        stall_s=settings.client_stall_s,
        heartbeat_s=settings.heartbeat_s,
        prices_old_s=prices_old_s(settings),
        tombstones_s=settings.resume_s,
        on_step=crash_at(settings.crash_at),
        drain_s=drain_s(settings),
        example_account=settings.example_account,
        together_port=settings.together_port or None,
        ping_s=settings.ping_s,
        keepalive_s=settings.idle_s,
        allowances=allowances(
            settings, watched=settings.watch_max, in_production=in_production
        ),
        access=access(settings),
    )


def origins(settings: Settings) -> tuple[str, ...]:
    """Return the origins whose pages may use the edge, beside its own; ``*`` is all."""
    if settings.origins is not None:
        return settings.origins
    return () if settings.environment == "production" else ("*",)


def prices_old_s(settings: Settings) -> float:
    """Return after how long without an observation prices count as old, at an edge."""
    pace = _upstream_defaults(settings)
    interval_s = _said(settings.price_interval_s, pace.price_interval_s)
    return max(defaults.OLD_INTERVALS * interval_s, settings.silence_floor_s)


def drain_s(settings: Settings) -> float:
    """Return over how long a stopping edge sends its clients away."""
    in_production = settings.environment == "production"
    default = (
        defaults.PRODUCTION_DRAIN_S if in_production else defaults.DEVELOPMENT_DRAIN_S
    )
    return default if settings.drain_s is None else settings.drain_s


def stop_s(settings: Settings) -> float:
    """Return how long an edge may take to stop, with all its workers."""
    return STOP_DEADLINE_S + drain_s(settings)


def instance_name(settings: Settings) -> str:
    """Return the name of this process among its like."""
    if settings.instance:
        return settings.instance
    host = "".join(
        c if c.isalnum() or c in "._-" else "-" for c in socket.gethostname()
    )
    return f"h{host}-{os.getpid()}"[:100]
