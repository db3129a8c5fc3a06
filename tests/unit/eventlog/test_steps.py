"""Unless told otherwise an adapter passes its steps."""

from pathlib import Path

from eventlog.kafka import KafkaConfig
from eventlog.sqlite import SqliteConfig
from eventlog.steps import no_step


def test_nothing_happens_at_a_step_by_default() -> None:
    assert SqliteConfig(Path("log"), now_ms=int).on_step is no_step
    assert KafkaConfig("localhost:9092").on_step is no_step
    no_step("commit-made")
