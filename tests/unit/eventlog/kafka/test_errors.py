"""Nothing of the driver passes the border."""

import asyncio

import pytest
from aiokafka import errors

from eventlog.kafka.errors import border, is_fencing, unavailable
from eventlog.port import LogRefused, LogUnavailable, UnknownTopic


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(errors.KafkaConnectionError("gone\nfor good"), id="driver"),
        pytest.param(
            errors.IllegalOperation("not in a transaction"), id="not a KafkaError"
        ),
        pytest.param(errors.ConsumerStoppedError(), id="stopped"),
        pytest.param(AssertionError(), id="assertion"),
        pytest.param(ConnectionResetError("reset"), id="system"),
    ],
)
async def test_what_the_driver_raises_is_translated(error: Exception) -> None:
    with pytest.raises(LogUnavailable) as caught:
        async with border("kafka://x/", limit_s=1.0):
            raise error
    assert caught.value.why
    assert "\n" not in str(caught.value)


async def test_what_takes_too_long_is_cut_off() -> None:
    with pytest.raises(LogUnavailable, match=r"no answer in 0\.01 s"):
        async with border("kafka://x/", limit_s=0.01):
            await asyncio.Event().wait()


async def test_our_own_errors_pass_as_they_are() -> None:
    with pytest.raises(UnknownTopic):
        async with border("kafka://x/", limit_s=1.0):
            raise UnknownTopic("t")


def test_a_fence_is_seen_through_what_wraps_it() -> None:
    wrapped = errors.KafkaError("unexpected error during batch delivery")
    wrapped.__cause__ = errors.ProducerFenced()
    assert is_fencing(wrapped)
    assert is_fencing(errors.InvalidProducerEpoch())
    assert not is_fencing(errors.KafkaError("other"))
    assert "newer producer" in unavailable("x", wrapped).why


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (87, "error 87 (INVALID_RECORD): perhaps a record without a key"),
        (89, "error 89 (THROTTLING_QUOTA_EXCEEDED)"),
        (200, "error 200"),
    ],
)
def test_a_code_that_the_driver_does_not_know_is_told_by_its_number(
    code: int, text: str
) -> None:
    error = errors.for_code(code)()
    assert isinstance(error, errors.UnknownError)
    assert text in unavailable("x", error).why
    assert not is_fencing(error)


def test_a_fenced_producer_is_fenced_by_either_code_of_the_protocol() -> None:
    for code in (47, 90):
        assert is_fencing(errors.for_code(code)())


@pytest.mark.parametrize(
    ("error", "setting"),
    [
        (errors.InvalidReplicationFactorError, "replication"),
        (errors.InvalidSessionTimeoutError, "session_timeout_ms"),
        (errors.GroupAuthorizationFailedError, None),
        (errors.PolicyViolationError, None),
    ],
)
async def test_a_refusal_that_waiting_does_not_change_is_told_as_such(
    error: type[errors.KafkaError], setting: str | None
) -> None:
    with pytest.raises(LogRefused, match="the broker's own words") as caught:
        async with border("kafka://x/", limit_s=1.0):
            raise error("the broker's own words")
    assert caught.value.setting == setting
