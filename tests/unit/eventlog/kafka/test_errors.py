"""Nothing of the driver passes the border."""

import asyncio

import pytest
from aiokafka import errors

from eventlog.kafka.errors import border, is_fencing, unavailable
from eventlog.port import LogUnavailable, UnknownTopic


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


def test_an_error_the_driver_cannot_name_is_explained() -> None:
    assert "without a key" in unavailable("x", errors.UnknownError()).why
