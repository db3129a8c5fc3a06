"""Every setting, by section: its type, its default and its help.

``None`` as a default means that it follows from other settings; the help says how.
"""

import json
from functools import partial
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from app import defaults
from app.defaults import LIVE, SIMULATED
from app.edge_limits import EdgeAccess, EdgeLimits
from runtime.crash import crash_at
from schemas.ids import Network
from schemas.journal import JumpFactor

Port = Annotated[int, Field(ge=0, le=65_535)]
Seconds = Annotated[float, Field(gt=0, le=30 * 86_400)]
Number = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


def _address(text: str, *, schemes: tuple[str, str]) -> str:
    """Return an address that can be asked; raise ``ValueError`` for one that cannot."""
    wrong = ValueError(f"no {schemes[0]}:// or {schemes[1]}:// address of a host")
    try:
        parts = urlsplit(text)
        is_sound = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:  # a port that is none, half an IPv6 address
        raise wrong from None
    if not is_sound or any(each.isspace() for each in text):
        raise wrong
    return text


Url = Annotated[str, AfterValidator(partial(_address, schemes=("http", "https")))]
SocketUrl = Annotated[str, AfterValidator(partial(_address, schemes=("ws", "wss")))]
_GAP = r"(?:prices|balances|tokens)\.raw\[[0-9]{1,4}\]@[0-9]{1,15}"
_GAPS = rf"^(?:{_GAP}(?:,{_GAP})*)?$"
Source = Literal["kraxel", "stxtools", "internal"]


def _either(live: float, simulated: float) -> str:
    """Return how a default is told that is another against the simulator."""
    return f"{live:g}, {simulated:g} against the simulator"


def _listed(names: tuple[str, ...]) -> str:
    """Return a list as the setting takes it."""
    return json.dumps(names, separators=(",", ":"))


class General(BaseModel):
    """What runs."""

    environment: Literal["development", "production"] | None = Field(
        None,
        description="`production` always reads the real upstreams. Unset means "
        "`development`; must be set when the log is a broker",
    )
    live: bool = Field(
        default=False,
        description="Read the real upstreams in development too (`up --live`)",
    )
    network: Annotated[Network, Field(strict=False)] = Field(
        Network.MAINNET, description="The chain whose ids are accepted"
    )
    instance: (
        Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] | None
    ) = Field(
        None,
        description="Name of this process among its like; default host and process id",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least level of the log lines on stderr"
    )
    metrics_port: Port = Field(
        0,
        description="Port where a service serves `/metrics`, `/health/live` and "
        "`/health/ready`; 0 is none. The edge has them on its own port too; `up` gives "
        "ingest this one, the processor and the audit the next two, or free ones where it is 0",
    )
    metrics_host: str = Field(
        "127.0.0.1",
        description="Address of that port; whoever reaches it can read it",
    )
    crash_at: str = Field(
        "",
        description="For tests: the process kills itself at this step of its work, as in "
        "`commit-written`, or `commit-written:3` at its third pass. The steps are in "
        "`runtime/crash.py`; refused in production",
    )

    @field_validator("crash_at")
    @classmethod
    def _can_crash(cls, spec: str, others: ValidationInfo) -> str:
        if spec and others.data.get("environment") == "production":
            raise ValueError("not in production")
        crash_at(spec)  # raises for what is no step
        return spec


class Log(BaseModel):
    """The log."""

    log: str = Field(
        "data/stacks-feed.sqlite",
        description="Where the log is: a path, `sqlite:///path` or `kafka://host:port[,…]`",
    )
    log_prefix: Annotated[str, Field(pattern="^[A-Za-z0-9._-]{0,100}$")] = Field(
        "",
        description="Put before every name on a broker, so that several logs share it",
    )
    partitions: Annotated[int, Field(ge=1, le=1_024)] | None = Field(
        None,
        description="Partitions of each topic, fixed when they are created; default "
        f"{defaults.BROKER_PARTITIONS} on a broker, {defaults.SQLITE_PARTITIONS} in SQLite",
    )
    audit_days: Annotated[float, Field(ge=0)] | None = Field(
        None,
        description="Days that raw and published history is kept, fixed when the topics are "
        f"created; 0 is for ever. Default for ever, {defaults.SIMULATED_AUDIT_DAYS} in a simulated world",
    )
    sqlite_full_sync: bool = Field(
        default=False,
        description="Wait for the disk at each commit: survives a power cut, not only the "
        "death of a process",
    )
    kafka_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="Security protocol of the broker"
    )
    kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="SASL mechanism"
    )
    kafka_user: str | None = Field(None, description="SASL user")
    kafka_password: SecretStr | None = Field(None, description="SASL password")
    kafka_ca_file: Path | None = Field(
        None,
        description="Certificates that sign the broker's; default those of the system",
    )
    kafka_replication: Annotated[int, Field(ge=1, le=9)] | None = Field(
        None,
        description=f"Copies of each topic; default {defaults.PRODUCTION_REPLICATION} in "
        f"production, else {defaults.DEVELOPMENT_REPLICATION}",
    )
    kafka_topic_configs: dict[str, str | None] = Field(
        {},
        description="JSON object of properties with which topics are created besides "
        "those that this program sets; `null` leaves one of these to the broker, as in "
        '`{"delete.retention.ms":null}`',
    )
    kafka_session_timeout_s: Annotated[float, Field(ge=6, le=60)] = Field(
        10, description="A process silent this long loses its shards"
    )


class Upstreams(BaseModel):
    """Upstreams."""

    hiro_url: Url | None = Field(
        None, description=f"Hiro API; default {defaults.HIRO_URL}, or the simulator"
    )
    hiro_api_key: SecretStr | None = Field(
        None, description="Key for the Hiro API; without one its limits are low"
    )
    push_url: SocketUrl | None = Field(
        None,
        description=f"Hiro's WebSocket; default `{defaults.PUSH_PATH}` of the Hiro API",
    )
    kraxel_url: Url | None = Field(
        None,
        description=f"Prices of kraxel; default {defaults.KRAXEL_URL}, or the simulator",
    )
    stxtools_url: Url | None = Field(
        None,
        description=f"Prices of stxtools; default {defaults.STXTOOLS_URL}, or the simulator",
    )
    invest_url: Url | None = Field(
        None,
        description=f"Prices `internal`; default {defaults.INVEST_URL}, or the simulator",
    )
    tokens_url: Url | None = Field(
        None,
        description=f"Token registry; default {defaults.TOKENS_URL}, or the simulator",
    )
    simulator_url: Url | None = Field(
        None,
        description="Where the simulator is; default its own host and port. `up` sets it",
    )


class Ingest(BaseModel):
    """Ingest."""

    price_sources: tuple[Source, ...] | None = Field(
        None,
        description=f"JSON list of price sources; default `{_listed(LIVE.price_sources)}`, "
        f"`{_listed(SIMULATED.price_sources)}` against the simulator",
    )
    price_interval_s: Seconds | None = Field(
        None,
        description="Between two price rounds; edges call prices old after "
        f"{defaults.OLD_INTERVALS} of them. Default {_either(LIVE.price_interval_s, SIMULATED.price_interval_s)}",
    )
    first_price_s: Annotated[float, Field(ge=0)] | None = Field(
        None,
        description="From the start to the first price round; default "
        f"{_either(LIVE.first_price_s, SIMULATED.first_price_s)}",
    )
    balance_interval_s: Seconds | None = Field(
        None,
        description="Least time between two readings of one user, stretched by the budget; "
        f"default {_either(LIVE.balance_interval_s, SIMULATED.balance_interval_s)}",
    )
    token_interval_s: Seconds | None = Field(
        None,
        description="Between two readings of the token registry; default "
        f"{_either(LIVE.token_interval_s, SIMULATED.token_interval_s)}",
    )
    silence_floor_s: Seconds = Field(
        60,
        description="A source without a usable answer for two of its intervals is silent, but "
        "not before this; edges count prices as old by the same rule",
    )
    request_timeout_s: Seconds = Field(
        10, description="An upstream that takes longer than this has failed"
    )
    hiro_per_minute: Positive | None = Field(
        None,
        description="Requests a minute to Hiro; default "
        f"{defaults.HIRO_PER_MINUTE_WITH_KEY} with a key, "
        f"{defaults.HIRO_PER_MINUTE_WITHOUT} without, "
        f"{defaults.HIRO_PER_MINUTE_SIMULATED} against the simulator",
    )
    hiro_per_month: Positive | None = Field(
        None,
        description="Requests a month to Hiro; default "
        f"{defaults.HIRO_PER_MONTH_WITH_KEY} with a key, no limit without or against the "
        "simulator",
    )
    source_per_minute: Positive | None = Field(
        None,
        description="Requests a minute to each other upstream; default "
        f"{_either(LIVE.source_per_minute, SIMULATED.source_per_minute)}",
    )
    accounts_api: Literal["v1", "v2", "v3"] = Field(
        "v1",
        description="Generation of Hiro's balances to read, another one only while this is gone "
        "(410); v1 alone has what was sent and received",
    )
    push: bool = Field(default=True, description="Listen to Hiro's push for hints")
    push_connections: Number = Field(
        20, description="Push connections for single users, newest first"
    )
    watch_max: Number = Field(10_000, description="Users polled in all")
    buffer_records: Positive = Field(
        20_000,
        description="Observations that wait while the log is away; then upstream is not read",
    )


class Processor(BaseModel):
    """Processor."""

    price_max_age_s: Annotated[float, Field(ge=0)] = Field(
        900, description="A quote this far behind the newest does not count"
    )
    price_deviation: Annotated[str, Field(pattern=r"^(?:0|0\.[0-9]{0,17}[1-9]|1)$")] = (
        Field(
            "0",
            description="Relative change above which a price is published; 0 is any",
        )
    )
    price_frozen_s: Annotated[float, Field(ge=0)] = Field(
        3_600,
        description="A source that repeats one price for longer than this, while another "
        "source changes its own, does not count; 0 is off",
    )
    price_jump_factor: JumpFactor = Field(
        10,
        description="A price that is more than this factor above or below the one before "
        "waits until it is confirmed; 0 is off",
    )
    future_tolerance_s: Annotated[float, Field(ge=0)] = Field(
        60, description="An observation this far past its append time is refused"
    )
    accept_loss: Annotated[str, Field(pattern=_GAPS)] = Field(
        "",
        description="Observations that retention deleted unread and that a shard is to go on "
        "without: `TOPIC[SHARD]@OFFSET[,…]`, as the processor names them when it stops",
    )


class Edge(BaseModel):
    """Edge."""

    host: str = Field("127.0.0.1", description="Address the edge listens on")
    port: Port = Field(1999, description="Port the edge listens on")
    workers: Annotated[int, Field(ge=1, le=64)] = Field(
        1,
        description="Processes that serve the port together, each with the whole table "
        "(`edge --workers`)",
    )
    together_port: Port = Field(
        0,
        description="Where the process that started this edge as one of several answers for "
        "all of them, on this machine; it sets this itself",
    )
    example_account: Annotated[str, Field(max_length=64)] | None = Field(
        None,
        description="An account that the page offers to look at; `up` chooses one of the "
        "simulated world",
    )
    drain_s: Annotated[float, Field(ge=0, le=3_600)] | None = Field(
        None,
        description="Over how long clients are sent away when the edge stops; default "
        f"{defaults.PRODUCTION_DRAIN_S} in production, else {defaults.DEVELOPMENT_DRAIN_S}",
    )
    lease_s: Seconds = Field(
        300, description="How long a user stays watched after the edge's last renewal"
    )
    refresh_interval_s: Seconds = Field(
        10, description="Least time between two refresh requests of one kind"
    )
    message_bytes: Number = Field(
        65_536,
        description="Longest message of a client; a longer one closes with 1009; 0 is no "
        "limit",
    )
    deflate: bool = Field(
        default=False,
        description="Take permessage-deflate from clients that offer it: what they get of "
        "1 KiB and more goes compressed, once for all, for some milliseconds of CPU; what "
        "they send is held to the longest message when it is inflated",
    )
    client_buffer_bytes: Positive = Field(
        262_144,
        description="What a client has not read is at most this, the system's buffer "
        "included; of what changes after that it gets the newest values when it reads on",
    )
    client_stall_s: Seconds = Field(
        30, description="A client that takes nothing for so long is dropped"
    )
    heartbeat_s: Seconds = Field(
        5, description="Between two heartbeats, for clients that asked for them"
    )
    resume_s: Annotated[float, Field(gt=0, le=82_800)] = Field(
        82_800,
        description="How old a cursor may be that a client resumes from; at most an hour "
        "less than the log keeps tombstones",
    )


class Audit(BaseModel):
    """Audit."""

    audit_watch: bool = Field(
        default=True, description="`up` runs `audit watch` beside the services"
    )
    snapshot_interval_s: Annotated[float, Field(ge=1)] = Field(
        86_400,
        description="Log time between two verified snapshots of a shard, from which `audit` "
        "may start",
    )
    snapshot_observations: Positive = Field(
        5_000_000, description="After so many observations there is one in any case"
    )
    audit_from: str | None = Field(
        None,
        description="Time before which `audit watch` may do without history that is gone: a "
        "shard then begins at a point that it declares, and what lies before can never be "
        "verified (`audit watch --from`)",
    )
    audit_index: Path | None = Field(
        None,
        description="File that notes where everything stands, for `audit explain`; default "
        "beside the log, of a broker `data/audit-index.sqlite`",
    )


class Simulator(BaseModel):
    """Simulator."""

    simulator_host: str = Field("127.0.0.1", description="Address it listens on")
    simulator_port: Port = Field(
        1998, description="Port it listens on; `up` takes a free one instead"
    )
    simulator_seed: Number = Field(1, description="Same seed, same world")
    simulator_tokens: Annotated[int, Field(ge=10, le=10_000)] = Field(
        30, description="Tokens in its world that have prices"
    )
    simulator_accounts: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        10_000, description="Accounts in its world"
    )
    simulator_tick_s: Annotated[float, Field(ge=0)] = Field(
        3, description="Between two moves of its market and chain; 0 is only on demand"
    )


SECTIONS: tuple[type[BaseModel], ...] = (
    General,
    Log,
    Upstreams,
    Ingest,
    Processor,
    Edge,
    EdgeLimits,
    EdgeAccess,
    Audit,
    Simulator,
)
