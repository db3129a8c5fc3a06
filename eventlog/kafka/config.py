"""What the adapter must be told, and how that is said to the driver."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from eventlog.steps import OnStep, no_step
from eventlog.trouble import EachTime, NewTrouble

# The driver's keyword arguments have no common type.
DriverOptions = dict[str, Any]

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
# On JSON records zstd takes 0.3 us each and leaves a tenth; lz4 at the driver's fixed
# level 9 takes 1.7 us and leaves a sixth.
Compression = Literal["zstd", "lz4", "snappy", "gzip"]


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """How to be let in. User and password never appear in a ``repr``."""

    protocol: Protocol = "SASL_SSL"
    mechanism: Mechanism = "SCRAM-SHA-512"
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse half of a login."""
        named = self.user is not None and self.password is not None
        if self.protocol.startswith("SASL") and not named:
            raise ValueError(f"{self.protocol} needs a user and a password")


@dataclass(frozen=True, slots=True)
class KafkaConfig:
    """Where the log is and how long anything may take.

    ``prefix`` stands before every topic name, group and transactional id, so several
    logs can share a cluster. ``commit_limit_s`` is below the transaction timeout: the
    writer gives up before the broker aborts on its own. ``silence_limit_s`` is how long
    a reader waits for a sign of the broker before it raises ``LogUnavailable``.
    ``topic_configs`` are properties with which topics are created besides ours; ``None``
    leaves one of ours to the broker. ``on_step`` is told each step of the work.
    ``new_trouble`` makes what logs trouble that is waited out.
    """

    bootstrap: str
    prefix: str = ""
    security: KafkaSecurity | None = None
    replication: int = 1
    topic_configs: Mapping[str, str | None] = field(default_factory=dict)
    compression: Compression | None = "zstd"
    transaction_timeout_ms: int = 30_000
    session_timeout_ms: int = 10_000
    open_limit_s: float = 10.0
    request_limit_s: float = 15.0
    commit_limit_s: float = 20.0
    silence_limit_s: float = 10.0
    stop_limit_s: float = 5.0
    on_step: OnStep = no_step
    new_trouble: NewTrouble = EachTime

    @property
    def where(self) -> str:
        """The log as a URL without secrets."""
        return f"kafka://{self.bootstrap}/{self.prefix}"

    def topic(self, name: str) -> str:
        """Return the broker's name of a topic."""
        return self.prefix + name


def driver_options(config: KafkaConfig, *, limit_s: float) -> DriverOptions:
    """Return what every client of the driver takes.

    ``limit_s`` is our own limit around the call. The driver's is a little longer: it
    must not close a connection and send again behind our back before we have given up.
    """
    options: DriverOptions = {
        "bootstrap_servers": config.bootstrap,
        "request_timeout_ms": int(limit_s * 1000) + 1000,
        "retry_backoff_ms": 50,
    }
    return options | security_options(config.security)


def security_options(security: KafkaSecurity | None) -> DriverOptions:
    """Return how a connection of the driver is let in."""
    if security is None:
        return {}
    options: DriverOptions = {"security_protocol": security.protocol}
    if security.protocol.endswith("SSL"):
        options["ssl_context"] = ssl.create_default_context(cafile=security.ca_file)
    if security.protocol.startswith("SASL"):
        options["sasl_mechanism"] = security.mechanism
        options["sasl_plain_username"] = security.user
        options["sasl_plain_password"] = security.password
    return options
