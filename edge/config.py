"""What the edge must be told."""

from dataclasses import dataclass

from edge.core.frames import MAX_MESSAGE_BYTES
from edge.core.rules import TOMBSTONES_MS, Rules
from runtime.crash import OnStep, no_step
from schemas.extras import FEATURES, Feature

ANY_ORIGIN = "*"


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    """Where it listens, who may read it, and how patient it is.

    ``instance`` is its name in leases. ``origins`` are those whose pages may read the
    answers to HTTP requests; ``*`` among them is all. A lease lasts ``lease_s`` and is
    renewed five times in that; a refresh of one kind is asked for at most once in
    ``refresh_interval_s``. A message of a client is at most ``message_bytes``. A client is
    pinged every ``ping_s`` and has as long to answer.

    What a client has not read is at most ``client_buffer_bytes``, in the kernel and here;
    what is new after that waits as keys, of which it gets the newest values when it reads
    on. One that takes nothing for ``stall_s`` is dropped.

    ``features`` are those that clients may ask for with ``HELLO``. A client may resume
    with a cursor as old as ``tombstones_s``, which must be less than ``latest`` keeps
    tombstones, by the time that reading the table takes and by what clocks may differ.

    When it stops, clients are sent away over ``drain_s``. As one of several that share the
    port it opens it once the table is read, and the system shares out the connections;
    ``together_port`` of this machine answers for all of them.

    ``on_step`` is told each step of the work. What is served counts as stale when log or
    processor gave no sign for ``stale_s``. After ``longest_away_s`` without the log the
    table is read again: it must be less than tombstones are kept in ``latest``.
    """

    instance: str
    host: str = "127.0.0.1"
    port: int = 1999
    origins: tuple[str, ...] = ()
    lease_s: float = 300.0
    refresh_interval_s: float = 10.0
    message_bytes: int = 65_536
    client_buffer_bytes: int = 262_144
    ping_s: float = 20.0
    stall_s: float = 30.0
    heartbeat_s: float = 5.0
    features: tuple[Feature, ...] = FEATURES
    tombstones_s: float = TOMBSTONES_MS / 1_000
    keepalive_s: float = 30.0
    drain_s: float = 0.0
    together_port: int | None = None
    on_step: OnStep = no_step
    stale_s: float = 30.0
    longest_away_s: float = 43_200.0

    @property
    def shares_port(self) -> bool:
        """Whether others of this machine serve the same port."""
        return self.together_port is not None

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
        )
