"""What the parts of the service share."""

from collections.abc import Callable
from dataclasses import dataclass

from ingest.source_watch import SourceWatch
from ingest.sources.moments import MomentSource
from ingest.writer import Writer
from runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class Tools:
    """Time, chance (``draw`` is uniform in [0, 1)), moments and the way to the log.

    ``watch`` is told what becomes of each request to an upstream.
    """

    clock: Clock
    draw: Callable[[], float]
    moments: MomentSource
    writer: Writer
    watch: SourceWatch
