"""What the edge must be told."""

from dataclasses import dataclass

from runtime.crash import OnStep, no_step

ANY_ORIGIN = "*"


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    """Where it listens, who may read it, and how patient it is.

    ``instance`` is its name in leases. ``origins`` are those whose pages may read the
    answers to HTTP requests; ``*`` among them is all. A lease lasts ``lease_s`` and is
    renewed five times in that; a refresh of one kind is asked for at most once in
    ``refresh_interval_s``. A message of a client is at most ``message_bytes``, and a
    client whose socket still holds more than ``client_buffer_bytes`` when something new
    comes is dropped. A client is pinged every ``ping_s`` and has as long to answer.
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
    keepalive_s: float = 30.0
    on_step: OnStep = no_step
    stale_s: float = 30.0
    longest_away_s: float = 43_200.0
