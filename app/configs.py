"""Settings in, each part's config out; what depends on another setting is decided here."""

import os
import socket
from typing import TYPE_CHECKING

from app.errors import SettingsError
from app.places import Broker, Place, parse_place
from app.sections import SIMULATED_AUDIT_DAYS
from app.settings import Settings
from app.topics import Wanted

if TYPE_CHECKING:
    from eventlog.kafka import KafkaConfig, KafkaSecurity

_SQLITE_PARTITIONS, _BROKER_PARTITIONS = 2, 6
_PRODUCTION_REPLICATION = 3


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


def wanted_log(settings: Settings) -> Wanted:
    """Return what the log is to be where it does not exist yet."""
    on_broker = isinstance(parse_place(settings.log), Broker)
    partitions = _BROKER_PARTITIONS if on_broker else _SQLITE_PARTITIONS
    audit_days = SIMULATED_AUDIT_DAYS if settings.simulated else 0
    return Wanted(
        network=settings.network,
        world=settings.world,
        partitions=settings.partitions or partitions,
        audit_days=audit_days if settings.audit_days is None else settings.audit_days,
    )


def kafka_config(settings: Settings, broker: Broker) -> "KafkaConfig":
    """Return how the broker is reached."""
    from eventlog.kafka import KafkaConfig  # noqa: PLC0415 - only where a broker is used

    replication = _PRODUCTION_REPLICATION if settings.environment == "production" else 1
    return KafkaConfig(
        bootstrap=broker.bootstrap,
        prefix=settings.log_prefix,
        security=_kafka_security(settings),
        replication=settings.kafka_replication or replication,
        session_timeout_ms=round(settings.kafka_session_timeout_s * 1_000),
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


def instance_name(settings: Settings) -> str:
    """Return the name of this process among its like."""
    if settings.instance:
        return settings.instance
    host = "".join(
        c if c.isalnum() or c in "._-" else "-" for c in socket.gethostname()
    )
    return f"h{host}-{os.getpid()}"[:100]
