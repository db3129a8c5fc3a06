"""What the processor must be told."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from processor.core.batch import Limits
from runtime.crash import OnStep, no_step
from schemas.journal import FoldSettings


def random_term_id() -> str:
    """Return an id that no other term has."""
    return secrets.token_hex(6)


@dataclass(frozen=True, slots=True)
class ProcessorConfig:
    """Who this instance is, what the fold goes by, and how patient the shell is.

    ``instance`` is its name among the members. A watermark is written at most every
    ``watermark_s``, and when nothing else is every ``idle_watermark_s``. After trouble
    with the log the shell waits ``backoff_s``, twice as long each time it goes on, at
    most ``max_backoff_s``; ``fenced_s`` before it takes a shard again that was taken from
    it while the group says it is its own. ``on_step`` is told each step of a shard's work.
    Every ``retention_check_s`` a shard looks how near retention is; of what is deleted
    before it was read only the gaps named in ``accept_loss`` are passed over.
    ``new_term_id`` names each term of an owner of a shard.
    """

    instance: str
    fold: FoldSettings = field(default_factory=FoldSettings)
    limits: Limits = field(default_factory=Limits)
    watermark_s: float = 1.0
    idle_watermark_s: float = 5.0
    backoff_s: float = 0.2
    max_backoff_s: float = 5.0
    fenced_s: float = 1.0
    on_step: OnStep = no_step
    retention_check_s: float = 30.0
    accept_loss: frozenset[str] = frozenset()
    new_term_id: Callable[[], str] = random_term_id
