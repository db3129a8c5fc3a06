"""What the edge must be told."""

from dataclasses import dataclass, field
from pathlib import Path

from edge.core.addresses import Network
from edge.core.frames import MAX_MESSAGE_BYTES
from edge.core.limits import NO_LIMIT, Rate
from edge.core.origins import Origins
from edge.core.rules import TOMBSTONES_MS, Rules
from runtime.crash import OnStep, no_step
from schemas.extras import FEATURES, Feature


@dataclass(frozen=True, slots=True)
class Allowances:
    """What clients may do. 0 is no limit; by default there is none.

    ``ids_…``, ``messages`` and ``errors`` limit one client. ``…_each`` limits one address:
    its connections, its requests for a reading (of one kind), users that nobody watched
    before, and the bytes of answers made for it. ``connections`` and ``watched`` are in all.
    """

    ids_per_message: int = 0
    ids_per_client: int = 0
    messages: Rate = NO_LIMIT
    errors: Rate = NO_LIMIT
    connections: int = 0
    connections_each: int = 0
    refreshes_each: Rate = NO_LIMIT
    watched: int = 0
    new_watched_each: Rate = NO_LIMIT
    http_bytes_each: Rate = NO_LIMIT


@dataclass(frozen=True, slots=True)
class Access:
    """Who is let in, and to what.

    An address in ``X-Forwarded-For`` counts when a proxy in ``proxies`` wrote it. Where
    there is a token, whoever asks must show it: for metrics, for a reading.

    With a certificate the port speaks TLS; the key may be in the same file.
    """

    proxies: tuple[Network, ...] = ()
    metrics_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    certificate: Path | None = None
    certificate_key: Path | None = None


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    """Where it listens, who may read it, and how patient it is.

    ``instance`` is its name in leases. ``origins`` are those whose pages may read answers
    and open connections beside the edge's own; ``*`` among them is all. Those in
    ``origins_with_credentials`` may also send cookies. A lease lasts ``lease_s`` and is
    renewed five times in that; a refresh of one kind is asked for at most once in
    ``refresh_interval_s``. A message of a client is at most ``message_bytes``. With
    ``deflate`` clients that offer it may compress, and get long messages compressed. A client is
    pinged every ``ping_s`` and has as long to answer.

    What a client has not read is at most ``client_buffer_bytes``, in the kernel and here;
    what is new after that waits as keys, of which it gets the newest values when it reads
    on. One that takes nothing for ``stall_s`` is dropped.

    Answers to GET that are still being read hold at most ``answer_bytes`` in all, those that
    several readers share counted once; 0 is no limit.

    A connection that is idle for ``keepalive_s``, or takes longer to send the head of a
    request, is closed.

    ``features`` are those that clients may ask for with ``HELLO``. A client may resume
    with a cursor as old as ``tombstones_s``, which must be less than ``latest`` keeps
    tombstones, by the time that reading the table takes and by what clocks may differ.

    The page offers ``example_account`` to look at.

    When it stops, clients are sent away over ``drain_s``. As one of several that share the
    port it opens it once the table is read, and the system shares out the connections;
    ``together_port`` of this machine answers for all of them.

    ``on_step`` is told each step of the work. What is served counts as stale when log or
    processor gave no sign for ``stale_s``, or no price was observed for ``prices_old_s``. After ``longest_away_s`` without the log the
    table is read again: it must be less than tombstones are kept in ``latest``.
    """

    instance: str
    host: str = "127.0.0.1"
    port: int = 1999
    origins: tuple[str, ...] = ()
    origins_with_credentials: tuple[str, ...] = ()
    lease_s: float = 300.0
    refresh_interval_s: float = 10.0
    message_bytes: int = 65_536
    deflate: bool = False
    client_buffer_bytes: int = 262_144
    answer_bytes: int = 67_108_864
    ping_s: float = 20.0
    stall_s: float = 30.0
    heartbeat_s: float = 5.0
    features: tuple[Feature, ...] = FEATURES
    tombstones_s: float = TOMBSTONES_MS / 1_000
    keepalive_s: float = 30.0
    allowances: Allowances = Allowances()
    access: Access = Access()
    drain_s: float = 0.0
    together_port: int | None = None
    example_account: str | None = None
    on_step: OnStep = no_step
    stale_s: float = 30.0
    prices_old_s: float = 600.0
    longest_away_s: float = 43_200.0

    @property
    def shares_port(self) -> bool:
        """Whether others of this machine serve the same port."""
        return self.together_port is not None

    @property
    def pages(self) -> Origins:
        """Which pages may use the edge."""
        return Origins(self.origins, with_credentials=self.origins_with_credentials)

    @property
    def mark_bytes(self) -> int:
        """What may lie unsent here when something new is written to a client.

        On top of it come one write, of about the same size, and what the kernel holds.
        """
        return self.client_buffer_bytes // 4

    @property
    def unsent_bytes(self) -> int:
        """What the kernel may take beyond what is on its way.

        It holds some times more for a client that never reads: 71 KB where this is 16.
        """
        return self.client_buffer_bytes // 16

    @property
    def rules(self) -> Rules:
        """What the core must be told."""
        return Rules(
            features=self.features,
            piece_bytes=min(MAX_MESSAGE_BYTES, self.mark_bytes),
            heartbeat_ms=round(self.heartbeat_s * 1_000),
            tombstones_ms=round(self.tombstones_s * 1_000),
            ids_per_message=self.allowances.ids_per_message,
            ids_per_client=self.allowances.ids_per_client,
        )
