"""Trouble of a log where nobody has decided how often to tell of it."""

import logging
from pathlib import Path

import pytest

from eventlog.kafka import KafkaConfig
from eventlog.sqlite import SqliteConfig
from eventlog.trouble import EachTime


def test_every_time_is_told_and_one_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    trouble = EachTime(logging.getLogger("somewhere"), "not done", "done again")
    trouble.over()
    trouble.happened(error="one")
    trouble.happened(error="two")
    trouble.over()
    trouble.over()
    said = [(record.message, vars(record).get("error")) for record in caplog.records]
    assert said == [("not done", "one"), ("not done", "two"), ("done again", None)]


def test_a_log_that_was_told_nothing_tells_each_time() -> None:
    assert SqliteConfig(Path("log"), now_ms=int).new_trouble is EachTime
    assert KafkaConfig("localhost:9092").new_trouble is EachTime
