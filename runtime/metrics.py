"""Every metric once, with its unit, its help and its service; the only home of prometheus_client.

A process exports the metrics of its own service and those that every process has. No label
takes an id of a user or of a contract.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from runtime.health import Service

_Metric = TypeVar("_Metric", Counter, Gauge, Histogram)
_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


class Declaration(NamedTuple):
    """A metric as its page describes it; ``alert`` says when an operator should look."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str
    alert: str


class Group:
    """The metrics of one service, in the order in which they are declared.

    Each is in the global registry too, where tests find it.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.registry = CollectorRegistry()
        self.declarations: list[Declaration] = []

    def counter(
        self, name: str, meaning: str, labels: Sequence[str] = (), *, alert: str = ""
    ) -> Counter:
        """Declare a counter."""
        return self._add(Counter(name, meaning, labels), name, meaning, labels, alert)

    def gauge(
        self, name: str, meaning: str, labels: Sequence[str] = (), *, alert: str = ""
    ) -> Gauge:
        """Declare a gauge."""
        return self._add(Gauge(name, meaning, labels), name, meaning, labels, alert)

    def histogram(
        self,
        name: str,
        meaning: str,
        labels: Sequence[str] = (),
        *,
        buckets: Sequence[float] = _SECONDS,
        alert: str = "",
    ) -> Histogram:
        """Declare a histogram."""
        made = Histogram(name, meaning, labels, buckets=buckets)
        return self._add(made, name, meaning, labels, alert)

    def _add(
        self,
        metric: _Metric,
        name: str,
        meaning: str,
        labels: Sequence[str],
        alert: str,
    ) -> _Metric:
        self.registry.register(metric)
        kind = type(metric).__name__.lower()
        self.declarations.append(Declaration(name, kind, tuple(labels), meaning, alert))
        return metric


_INGEST = Group("Ingest")
_PROCESSOR = Group("Processor")
_EDGE = Group("Edge")
_AUDIT = Group("Audit")
_ANY = Group("Every process")
_BY_SERVICE: dict[Service, Group] = {
    "ingest": _INGEST,
    "processor": _PROCESSOR,
    "edge": _EDGE,
    "audit": _AUDIT,
}
GROUPS: tuple[Group, ...] = (*_BY_SERVICE.values(), _ANY)
for _collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
    _ANY.registry.register(_collector)

# ---- ingest
REQUESTS = _INGEST.counter(
    "stacks_feed_upstream_requests_total",
    "Requests to upstreams by how they ended",
    ("source", "outcome"),
    alert="a source whose outcome is neither `read` nor `unchanged` for minutes",
)
REQUEST_SECONDS = _INGEST.histogram(
    "stacks_feed_upstream_request_seconds",
    "How long upstreams take to answer",
    ("source",),
    buckets=_SECONDS,
    alert="p99 near `STACKS_FEED_REQUEST_TIMEOUT_S`",
)
BUDGET_LEFT = _INGEST.gauge(
    "stacks_feed_upstream_budget_requests",
    "Requests left in the budget of a host for the window (minute or month)",
    ("host", "window"),
    alert="near 0: polling is stretched; get a key or watch fewer users",
)
UPSTREAM_SLOWED = _INGEST.gauge(
    "stacks_feed_upstream_slowed",
    "1 while a limit, of a host or of the settings, keeps sources from their intervals",
    ("host",),
    alert="1 for more than a few minutes: `/health/ready` of ingest says which limit",
)
BREAKER_OPEN = _INGEST.gauge(
    "stacks_feed_upstream_breaker_open",
    "1 while a source is left alone after repeated failures",
    ("source",),
    alert="1 for more than a few minutes",
)
BALANCE_API = _INGEST.gauge(
    "stacks_feed_balance_api",
    "Generation of Hiro's balance API that is read: another than `STACKS_FEED_ACCOUNTS_API` "
    "while that one is gone (410)",
)
SOURCE_LAST_SUCCESS = _INGEST.gauge(
    "stacks_feed_source_last_success_timestamp_seconds",
    "When a source last gave a usable answer, in seconds since 1970; none before the first",
    ("source", "kind"),
)
SOURCE_SILENT = _INGEST.gauge(
    "stacks_feed_source_silent",
    "1 while a source that is asked has given no usable answer for two intervals",
    ("source", "kind"),
    alert="1: `/health/ready` of ingest says why, and what to do",
)
SOURCE_INTERVAL = _INGEST.gauge(
    "stacks_feed_source_interval_seconds",
    "How often a source is asked, by the settings",
    ("source", "kind"),
)
SOURCE_SAID = _INGEST.gauge(
    "stacks_feed_source_said_timestamp_seconds",
    "Newest time that a source gives its own prices, in seconds since 1970, if it does",
    ("source",),
    alert="more than an hour ago: the source repeats old values",
)
READINGS = _INGEST.counter(
    "stacks_feed_readings_total",
    "Observations handed to the log, by kind",
    ("kind",),
    alert="no growth while a source is due",
)
UPSTREAM_REJECTS = _INGEST.counter(
    "stacks_feed_upstream_unreadable_total",
    "Upstream answers that could not be read as what they should be",
    ("source",),
    alert="keeps growing: the upstream has changed its answers",
)
BUFFERED = _INGEST.gauge(
    "stacks_feed_ingest_buffer_records",
    "Observations that wait for the log",
    alert="grows: the log does not take observations",
)
DOUBTED = _INGEST.counter(
    "stacks_feed_readings_doubted_total",
    "Readings of accounts that went back (older totals, a row gone) or lost what they held, "
    "and are read again before they are believed",
    ("kind",),
    alert="keeps growing: the upstream's nodes disagree",
)
REFUSED_READINGS = _INGEST.counter(
    "stacks_feed_readings_refused_total",
    "Account readings of ours that the processor refused, by reason",
    ("reason",),
    alert="keeps growing: check the clock of ingest",
)
PRICE_DISAGREEMENTS = _INGEST.gauge(
    "stacks_feed_price_disagreements",
    "Tokens whose price of a source is less than half or more than twice the others'",
    ("source",),
    alert="more than a few: a source lies",
)
PRICE_UNCHECKED = _INGEST.gauge(
    "stacks_feed_price_unchecked_tokens",
    "Tokens that one source alone has a price of: a lie that it repeats is published",
)
PRICE_SPREAD = _INGEST.gauge(
    "stacks_feed_price_spread_ratio",
    "Largest ratio between the prices that two sources have of one token",
    alert="above 100: a source lies",
)
CLOCK_BEHIND = _INGEST.gauge(
    "stacks_feed_clock_behind_seconds",
    "How far this clock is behind the newest observation; above 30 nothing is read",
    alert="above 5: set the clock",
)
CLOCK_AHEAD = _INGEST.gauge(
    "stacks_feed_upstream_clock_ahead_seconds",
    "How far this clock is ahead of that of a host, by the Date of its answers",
    ("host",),
    alert="above 30 or below -30 for most hosts: set the clock",
)
INGEST_SHARDS = _INGEST.gauge(
    "stacks_feed_ingest_shards_owned",
    "Shards whose users this ingest reads",
    alert="the sum over all ingests is less than the partitions",
)
WATCHED = _INGEST.gauge(
    "stacks_feed_watched_users",
    "Users that are polled by this instance",
    alert="near `STACKS_FEED_WATCH_MAX`",
)
PUSH_CONNECTIONS = _INGEST.gauge(
    "stacks_feed_push_connections",
    "Open push connections to upstream",
    alert="0 while push is on: changes are seen only by polling",
)
PUSH_LOSSES = _INGEST.counter(
    "stacks_feed_push_losses_total",
    "Push connections that failed or were not made; each is tried again",
    alert="grows for hours: hints are missing, accounts are polled all the same",
)
HINTS = _INGEST.counter(
    "stacks_feed_push_hints_total",
    "Hints received by push that triggered a reading, by kind",
    ("kind",),
)

# ---- processor
DECISIONS = _PROCESSOR.counter(
    "stacks_feed_decisions_total",
    "What the folds decided, one a part",
    ("kind", "decision"),
    alert="`rejected` above 1 % of all: look at the topic `rejects`",
)
PRICE_DOUBTS = _PROCESSOR.gauge(
    "stacks_feed_price_doubts",
    "Tokens whose price may be wrong, or one of its sources: `suspect` jumps that wait to be "
    "confirmed, `frozen` sources, `disagreement` of sources, `undecided` ones that have "
    "never agreed, and `unquoted` prices that no source gives any more",
    ("shard", "doubt"),
    alert="`undecided` above 0: what is published may be wrong; `/health/ready` names tokens",
)
COMMITS = _PROCESSOR.counter(
    "stacks_feed_commits_total",
    "Transactions of the processor",
    ("shard",),
    alert="no growth while `stacks_feed_waiting_records` is above 0",
)
COMMIT_SECONDS = _PROCESSOR.histogram(
    "stacks_feed_commit_seconds",
    "How long a transaction takes",
    buckets=_SECONDS,
    alert="p99 above 3: the log is slow",
)
COMMIT_INPUTS = _PROCESSOR.counter(
    "stacks_feed_commit_inputs_total", "Observations folded in transactions", ("shard",)
)
SHARDS_OWNED = _PROCESSOR.gauge(
    "stacks_feed_shards_owned",
    "Shards that this processor holds and serves",
    alert="the sum over all processors is less than the partitions",
)
SHARD_POSITION = _PROCESSOR.gauge(
    "stacks_feed_shard_position",
    "Offset of the next observation to read",
    ("topic", "shard"),
)
SHARD_LOG_TIME = _PROCESSOR.gauge(
    "stacks_feed_shard_log_time_seconds",
    "Log time up to which a shard has read, in seconds since 1970",
    ("shard",),
    alert="stands still while records wait",
)
WAITING_RECORDS = _PROCESSOR.gauge(
    "stacks_feed_waiting_records",
    "Observations in the log that a shard has not read yet",
    ("topic", "shard"),
    alert="grows for 10 minutes: add processors",
)
RETENTION_RECORDS = _PROCESSOR.gauge(
    "stacks_feed_retention_margin_records",
    "Offsets from the oldest observation in the log to the next a shard reads",
    ("topic", "shard"),
)
RETENTION_SECONDS = _PROCESSOR.gauge(
    "stacks_feed_retention_margin_seconds",
    "Until retention may delete the next observation a shard reads; +Inf: nothing waits, "
    "or it is kept for ever",
    ("topic", "shard"),
    alert="below some hours: observations are about to be deleted unread",
)
SNAPSHOT_MARGIN = _PROCESSOR.gauge(
    "stacks_feed_snapshot_margin_seconds",
    "Until retention may delete what follows the newest snapshot of a shard, or its first "
    "records where there is none; +Inf: nothing can be lost; below 0: it is lost",
    ("shard",),
    alert="below some hours: history is about to lose its beginning, run `audit watch`",
)
RETENTION = (WAITING_RECORDS, RETENTION_RECORDS, RETENTION_SECONDS)
RESTORED_KEYS = _PROCESSOR.gauge(
    "stacks_feed_restored_keys", "Keys in the restored state of a shard", ("shard",)
)
RESTORE_SECONDS = _PROCESSOR.histogram(
    "stacks_feed_restore_seconds",
    "How long it takes to read the state of a shard",
    buckets=(*_SECONDS, 100.0),
    alert="tells how long a takeover leaves a shard unserved",
)

# ---- edge
CLIENTS = _EDGE.gauge(
    "stacks_feed_clients",
    "Connected clients",
    ("party",),
    alert="a sudden fall: clients cannot reach the edge",
)
CONNECTIONS = _EDGE.counter(
    "stacks_feed_connections_total",
    "Accepted client connections",
    ("party",),
    alert="a high rate with few clients: they are cut off and come back",
)
CLOSED = _EDGE.counter(
    "stacks_feed_client_closes_total",
    "Client connections closed by the edge, by reason",
    ("reason",),
    alert="`stalled` or `no pong` for many clients at once",
)
CLIENT_MESSAGES = _EDGE.counter(
    "stacks_feed_client_messages_total",
    "Messages of clients, by kind of frame",
    ("frame",),
)
SENT_BYTES = _EDGE.counter(
    "stacks_feed_sent_bytes_total",
    "Bytes handed to client sockets",
    alert="no growth while prices change",
)
SENT_WRITES = _EDGE.counter(
    "stacks_feed_sent_writes_total", "Writes to client sockets, of one or more messages"
)
OFFERS = _EDGE.counter(
    "stacks_feed_client_offers_total",
    "Changes for clients that were behind: queued, or conflated with one that waited",
    ("outcome",),
    alert="many `conflated`: clients or the network are slow",
)
CLIENTS_BEHIND = _EDGE.gauge(
    "stacks_feed_clients_behind",
    "Clients for whom an answer or a change waits",
    alert="a large share of all clients for minutes",
)
BUFFERED_BYTES = _EDGE.gauge(
    "stacks_feed_client_buffer_bytes",
    "Bytes written to clients that the system did not take yet: of the worst, and in all",
    ("of",),
)
RESUMES = _EDGE.counter(
    "stacks_feed_resumes_total",
    "Subscriptions with a cursor by what became of it",
    ("outcome",),
    alert="more than 10 % not `recovered`",
)
FANOUT_SECONDS = _EDGE.histogram(
    "stacks_feed_fanout_seconds",
    "From a batch read off the log to its last client write",
    buckets=_SECONDS,
    alert="p99 above 0.3: the edge is at its limit, add workers or edges",
)
HELD_BACK = _EDGE.gauge(
    "stacks_feed_held_back_balances",
    "Balances kept from base clients until the token's decimals are known",
    alert="stays above 0: the registry lacks decimals of a token",
)
TABLE_KEYS = _EDGE.gauge(
    "stacks_feed_table_keys",
    "Keys in the edge's table",
    alert="0 or a sudden fall",
)
WATERMARK_SECONDS = _EDGE.gauge(
    "stacks_feed_watermark_seconds",
    "Oldest watermark of the shards, in seconds since 1970; 0 if one has none yet",
    alert="more than 30 s ago: a shard is not processed",
)
NEWEST_OBSERVATION = _EDGE.gauge(
    "stacks_feed_newest_observation_timestamp_seconds",
    "When the newest observation of a kind (price, balance, token) was made, whether or not "
    "it changed a value; no sample while there was none",
    ("kind",),
    alert="kind `price` more than three price intervals ago: page somebody",
)
LOG_SILENCE_SECONDS = _EDGE.gauge(
    "stacks_feed_log_silence_seconds",
    "How long the log has not answered this edge",
    alert="above 15: the log is away",
)
STALE = _EDGE.gauge(
    "stacks_feed_table_stale",
    "1 while newer values may exist than those served; /health/ready says why",
    alert="1 for a minute: page somebody",
)
OLD_PRICES = _EDGE.gauge(
    "stacks_feed_old_prices",
    "Tokens in the table that no source quotes any more, though others are quoted: their last "
    "price is served",
    alert="growing: a source dropped tokens; /health/ready of the processor names some",
)
REFUSED = _EDGE.counter(
    "stacks_feed_refused_total",
    "What clients were refused, by the limit or rule that did it",
    ("reason",),
    alert="`connections of all`: the edge is full",
)
ANSWERS = _EDGE.gauge(
    "stacks_feed_answers_under_way", "Long answers to GET that are still being read"
)
ANSWER_BYTES = _EDGE.gauge(
    "stacks_feed_answer_bytes",
    "Bytes of the answers under way, those that several readers share counted once",
)
OPEN_CONNECTIONS = _EDGE.gauge(
    "stacks_feed_open_connections",
    "Connections to the edge's port, of any kind",
    alert="near the limit of connections",
)
LEASES = _EDGE.gauge(
    "stacks_feed_demand_leases", "Users this edge asks ingest to watch"
)
UNREADABLE_LATEST = _EDGE.counter(
    "stacks_feed_unreadable_latest_total",
    "Records of the public table that could not be read",
    alert="any growth: an older edge reads a newer log, or something else wrote to it",
)
HTTP_REQUESTS = _EDGE.counter(
    "stacks_feed_http_requests_total",
    "HTTP requests by route, method and status",
    ("route", "method", "status"),
    alert="`status` 500 at all; 503 for minutes",
)

# ---- audit
AUDIT_COMMITS = _AUDIT.counter(
    "stacks_feed_audit_commits_total",
    "Commits derived again and found right",
    ("shard",),
    alert="no growth while `stacks_feed_audit_lag_commits` is above 0",
)
AUDIT_LOG_TIME = _AUDIT.gauge(
    "stacks_feed_audit_log_time_seconds",
    "Log time up to which a shard is verified, in seconds since 1970",
    ("shard",),
    alert="absent: no audit is running",
)
AUDIT_LAG_COMMITS = _AUDIT.gauge(
    "stacks_feed_audit_lag_commits", "Commits that are not verified yet", ("shard",)
)
AUDIT_LAG_SECONDS = _AUDIT.gauge(
    "stacks_feed_audit_lag_seconds",
    "Age of the last verified commit while others wait; 0 when none does",
    ("shard",),
    alert="above 600: the audit does not keep up",
)
AUDIT_DIFFERENCE = _AUDIT.gauge(
    "stacks_feed_audit_difference_commit",
    "First commit of a shard that is not what the fold makes of it; the log says more",
    ("shard",),
    alert="any sample above 0: page somebody",
)

# ---- any process
LOG_ERRORS = _ANY.counter(
    "stacks_feed_log_errors_total",
    "Errors of the log, by what it means",
    ("error",),
    alert="keeps growing: the log is in trouble",
)
LOG_BYTES = _ANY.gauge(
    "stacks_feed_log_bytes",
    "Size of a log in a file, with what is not merged into it yet; none on a broker",
    ("file",),
)
LOG_FREE_BYTES = _ANY.gauge(
    "stacks_feed_log_free_bytes",
    "Free space on the disk of a log in a file; none on a broker",
    ("file",),
    alert="below 5 % of the disk or what the log adds in a day: make room",
)
BUILD_INFO = _ANY.gauge(
    "stacks_feed_build_info",
    "Always 1; the labels say which build runs",
    ("version", "commit"),
    alert="several versions for more than half an hour: an upgrade is half done",
)


def render(service: Service | None = None) -> tuple[bytes, str]:
    """Return the metrics of a service's process as text, and their content type.

    ``None`` stands for all metrics there are.
    """
    groups = GROUPS if service is None else (_BY_SERVICE[service], _ANY)
    text = b"".join(generate_latest(group.registry) for group in groups)
    return text, CONTENT_TYPE_LATEST
