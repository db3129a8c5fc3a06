"""The settings of a topic, and how one that was found differs."""

import pytest

from eventlog.kafka.topics import drift_of, retention_of, settings_of
from eventlog.port import Cleanup, Drift, TopicSpec

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("cleanup", "policy", "retention"),
    [
        pytest.param(
            Cleanup(compact=False, retention_ms=None), "delete", "-1", id="kept"
        ),
        pytest.param(
            Cleanup(compact=False, retention_ms=5), "delete", "5", id="dropped"
        ),
        pytest.param(
            Cleanup(compact=True, retention_ms=None), "compact", "-1", id="table"
        ),
        pytest.param(
            Cleanup(compact=True, retention_ms=5), "compact,delete", "5", id="leases"
        ),
    ],
)
def test_cleanup_becomes_settings(
    cleanup: Cleanup, policy: str, retention: str
) -> None:
    settings = settings_of(cleanup, replication=1)
    assert settings["cleanup.policy"] == policy
    assert settings["retention.ms"] == retention
    assert settings["message.timestamp.type"] == "LogAppendTime"
    assert settings["max.message.bytes"] == "1048576"
    assert ("delete.retention.ms" in settings) is cleanup.compact


def test_tombstones_stay_as_long_as_asked() -> None:
    cleanup = Cleanup(compact=True, retention_ms=None, tombstones_ms=DAY_MS)
    settings = settings_of(cleanup, replication=1)
    assert settings["delete.retention.ms"] == str(DAY_MS)
    assert int(settings["max.compaction.lag.ms"]) < DAY_MS


@pytest.mark.parametrize(("replication", "minimum"), [(1, None), (2, None), (3, "2")])
def test_of_three_replicas_two_must_have_a_record(
    replication: int, minimum: str | None
) -> None:
    cleanup = Cleanup(compact=False, retention_ms=None)
    settings = settings_of(cleanup, replication=replication)
    assert settings.get("min.insync.replicas") == minimum


def test_a_topic_as_it_was_made_has_no_drift() -> None:
    spec = TopicSpec("t", 3, Cleanup(compact=True, retention_ms=5))
    found = settings_of(spec.cleanup, replication=3)
    reordered = found | {"cleanup.policy": "delete, compact"}
    assert drift_of(spec, partitions=3, found=found) == ()
    assert drift_of(spec, partitions=3, found=reordered) == ()


def test_each_difference_is_named() -> None:
    spec = TopicSpec("t", 3, Cleanup(compact=False, retention_ms=None))
    found = settings_of(spec.cleanup, replication=1)
    found |= {"message.timestamp.type": "CreateTime"}
    del found["max.message.bytes"]
    assert drift_of(spec, partitions=4, found=found) == (
        Drift("t", "partitions", wanted="3", found="4"),
        Drift(
            "t", "message.timestamp.type", wanted="LogAppendTime", found="CreateTime"
        ),
        Drift("t", "max.message.bytes", wanted="1048576", found="unknown"),
    )


@pytest.mark.parametrize(
    ("found", "kept_ms"),
    [
        ({"cleanup.policy": "delete", "retention.ms": "5"}, 5),
        ({"cleanup.policy": "compact,delete", "retention.ms": "5"}, 5),
        ({"cleanup.policy": "compact", "retention.ms": "5"}, None),
        ({"cleanup.policy": "delete", "retention.ms": "-1"}, None),
        ({}, None),
    ],
    ids=["delete", "both", "compact", "for ever", "not told"],
)
def test_how_long_records_stand_follows_from_policy_and_time(
    found: dict[str, str], kept_ms: int | None
) -> None:
    assert retention_of(found) == kept_ms
