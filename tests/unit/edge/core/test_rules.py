"""What an edge offers by default."""

from edge.core.rules import TOMBSTONES_MS, Rules
from eventlog.port import Cleanup


def test_by_default_there_is_the_base_protocol_alone() -> None:
    assert Rules().features == ()


def test_cursors_grow_old_before_tombstones_are_forgotten() -> None:
    kept_ms = Cleanup(compact=True, retention_ms=None).tombstones_ms
    assert kept_ms - TOMBSTONES_MS >= 3_600_000
