"""Every metric once, with its unit and its help; the only home of prometheus_client.

No label takes an id of a user or of a contract.
"""

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)

# ---- ingest
REQUESTS = Counter(
    "stacks_feed_upstream_requests_total",
    "Requests to upstreams by how they ended",
    ("source", "outcome"),
)
REQUEST_SECONDS = Histogram(
    "stacks_feed_upstream_request_seconds",
    "How long upstreams take to answer",
    ("source",),
    buckets=_SECONDS,
)
BUDGET_LEFT = Gauge(
    "stacks_feed_upstream_budget_requests",
    "Requests left in the budget of a host for the window (minute or month)",
    ("host", "window"),
)
BREAKER_OPEN = Gauge(
    "stacks_feed_upstream_breaker_open",
    "1 while a source is left alone after repeated failures",
    ("source",),
)
READINGS = Counter(
    "stacks_feed_readings_total",
    "Observations handed to the log, by kind",
    ("kind",),
)
UPSTREAM_REJECTS = Counter(
    "stacks_feed_upstream_unreadable_total",
    "Upstream answers that could not be read as what they should be",
    ("source",),
)
BUFFERED = Gauge(
    "stacks_feed_ingest_buffer_records",
    "Observations that wait for the log",
)
DOUBTED = Counter(
    "stacks_feed_readings_doubted_total",
    "Accounts that went back (older totals) or lost all they held, and are read again",
    ("kind",),
)
REFUSED_READINGS = Counter(
    "stacks_feed_readings_refused_total",
    "Account readings of ours that the processor refused, by reason",
    ("reason",),
)
PRICE_DISAGREEMENTS = Gauge(
    "stacks_feed_price_disagreements",
    "Tokens whose price of a source is less than half or more than twice the others'",
    ("source",),
)
PRICE_UNCHECKED = Gauge(
    "stacks_feed_price_unchecked_tokens",
    "Tokens that one source alone has a price of: nothing holds it back if it lies",
)
PRICE_SPREAD = Gauge(
    "stacks_feed_price_spread_ratio",
    "Largest ratio between the prices that two sources have of one token",
)
CLOCK_BEHIND = Gauge(
    "stacks_feed_clock_behind_seconds",
    "How far this clock is behind the newest observation; above 30 nothing is read",
)
CLOCK_AHEAD = Gauge(
    "stacks_feed_upstream_clock_ahead_seconds",
    "How far this clock is ahead of that of a host, by the Date of its answers",
    ("host",),
)
INGEST_SHARDS = Gauge(
    "stacks_feed_ingest_shards_owned", "Shards whose users this ingest reads"
)
WATCHED = Gauge("stacks_feed_watched_users", "Users that are polled by this instance")
PUSH_CONNECTIONS = Gauge(
    "stacks_feed_push_connections", "Open push connections to upstream"
)
HINTS = Counter(
    "stacks_feed_push_hints_total",
    "Hints received by push that triggered a reading, by kind",
    ("kind",),
)

# ---- processor
DECISIONS = Counter(
    "stacks_feed_decisions_total",
    "What the folds decided, one a part",
    ("kind", "decision"),
)
COMMITS = Counter(
    "stacks_feed_commits_total", "Transactions of the processor", ("shard",)
)
COMMIT_SECONDS = Histogram(
    "stacks_feed_commit_seconds",
    "How long a transaction takes",
    buckets=_SECONDS,
)
COMMIT_INPUTS = Counter(
    "stacks_feed_commit_inputs_total", "Observations folded in transactions", ("shard",)
)
SHARDS_OWNED = Gauge(
    "stacks_feed_shards_owned", "Shards that this processor holds and serves"
)
SHARD_POSITION = Gauge(
    "stacks_feed_shard_position",
    "Offset of the next observation to read",
    ("topic", "shard"),
)
SHARD_LOG_TIME = Gauge(
    "stacks_feed_shard_log_time_seconds",
    "Log time up to which a shard has read, in seconds since 1970",
    ("shard",),
)
WAITING_RECORDS = Gauge(
    "stacks_feed_waiting_records",
    "Observations in the log that a shard has not read yet",
    ("topic", "shard"),
)
RETENTION_RECORDS = Gauge(
    "stacks_feed_retention_margin_records",
    "Offsets from the oldest observation in the log to the next a shard reads",
    ("topic", "shard"),
)
RETENTION_SECONDS = Gauge(
    "stacks_feed_retention_margin_seconds",
    "Until retention may delete the next observation a shard reads; +Inf: nothing waits, "
    "or it is kept for ever",
    ("topic", "shard"),
)
RETENTION = (WAITING_RECORDS, RETENTION_RECORDS, RETENTION_SECONDS)
RESTORED_KEYS = Gauge(
    "stacks_feed_restored_keys", "Keys in the restored state of a shard", ("shard",)
)
RESTORE_SECONDS = Histogram(
    "stacks_feed_restore_seconds",
    "How long it takes to read the state of a shard",
    buckets=(*_SECONDS, 100.0),
)

# ---- edge
CLIENTS = Gauge("stacks_feed_clients", "Connected clients", ("party",))
CONNECTIONS = Counter(
    "stacks_feed_connections_total", "Accepted client connections", ("party",)
)
CLOSED = Counter(
    "stacks_feed_client_closes_total",
    "Client connections closed by the edge, by reason",
    ("reason",),
)
CLIENT_MESSAGES = Counter(
    "stacks_feed_client_messages_total",
    "Messages of clients, by kind of frame",
    ("frame",),
)
SENT_BYTES = Counter("stacks_feed_sent_bytes_total", "Bytes handed to client sockets")
SENT_WRITES = Counter(
    "stacks_feed_sent_writes_total", "Writes to client sockets, of one or more messages"
)
OFFERS = Counter(
    "stacks_feed_client_offers_total",
    "Changes for clients that were behind: queued, or conflated with one that waited",
    ("outcome",),
)
CLIENTS_BEHIND = Gauge(
    "stacks_feed_clients_behind", "Clients for whom an answer or a change waits"
)
BUFFERED_BYTES = Gauge(
    "stacks_feed_client_buffer_bytes",
    "Bytes written to clients that the system did not take yet: of the worst, and in all",
    ("of",),
)
RESUMES = Counter(
    "stacks_feed_resumes_total",
    "Subscriptions with a cursor by what became of it",
    ("outcome",),
)
FANOUT_SECONDS = Histogram(
    "stacks_feed_fanout_seconds",
    "From a batch read off the log to its last client write",
    buckets=_SECONDS,
)
HELD_BACK = Gauge(
    "stacks_feed_held_back_balances",
    "Balances kept from base clients until the token's decimals are known",
)
TABLE_KEYS = Gauge("stacks_feed_table_keys", "Keys in the edge's table")
WATERMARK_SECONDS = Gauge(
    "stacks_feed_watermark_seconds",
    "Oldest watermark of the shards, in seconds since 1970; 0 if one has none yet",
)
LOG_SILENCE_SECONDS = Gauge(
    "stacks_feed_log_silence_seconds", "How long the log has not answered this edge"
)
STALE = Gauge(
    "stacks_feed_table_stale",
    "1 while newer values may exist than those served; /health/ready says why",
)
REFUSED = Counter(
    "stacks_feed_refused_total",
    "What clients were refused, by the limit or rule that did it",
    ("reason",),
)
OPEN_CONNECTIONS = Gauge(
    "stacks_feed_open_connections", "Connections to the edge's port, of any kind"
)
LEASES = Gauge("stacks_feed_demand_leases", "Users this edge asks ingest to watch")
UNREADABLE_LATEST = Counter(
    "stacks_feed_unreadable_latest_total",
    "Records of the public table that could not be read",
)
HTTP_REQUESTS = Counter(
    "stacks_feed_http_requests_total",
    "HTTP requests by route, method and status",
    ("route", "method", "status"),
)

# ---- audit
AUDIT_COMMITS = Counter(
    "stacks_feed_audit_commits_total",
    "Commits derived again and found right",
    ("shard",),
)
AUDIT_LOG_TIME = Gauge(
    "stacks_feed_audit_log_time_seconds",
    "Log time up to which a shard is verified, in seconds since 1970",
    ("shard",),
)
AUDIT_LAG_COMMITS = Gauge(
    "stacks_feed_audit_lag_commits", "Commits that are not verified yet", ("shard",)
)
AUDIT_LAG_SECONDS = Gauge(
    "stacks_feed_audit_lag_seconds",
    "Age of the last verified commit while others wait; 0 when none does",
    ("shard",),
)
AUDIT_DIFFERENCE = Gauge(
    "stacks_feed_audit_difference_commit",
    "First commit of a shard that is not what the fold makes of it; the log says more",
    ("shard",),
)

# ---- any process
LOG_ERRORS = Counter(
    "stacks_feed_log_errors_total", "Errors of the log, by what it means", ("error",)
)


def render() -> tuple[bytes, str]:
    """Return all metrics of this process as text, and its content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
