"""The border: what the driver raises becomes one of the port's errors."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from aiokafka import errors

from eventlog.port import LogError, LogRefused, LogUnavailable

from . import error_codes

error_codes.install()

# All that the driver is known to raise, its failing assertions included: after a failed
# batch its state machine can be anywhere.
DRIVER_ERRORS = (
    errors.KafkaError,
    errors.IllegalOperation,
    errors.ConsumerStoppedError,
    AssertionError,
    OSError,
)
_FENCING = (errors.ProducerFenced, errors.InvalidProducerEpoch)
# Refusals that no waiting changes, and the field of our config that each is about.
_LASTING: dict[type[BaseException], str | None] = {
    errors.ClusterAuthorizationFailedError: None,
    errors.GroupAuthorizationFailedError: None,
    errors.InconsistentGroupProtocolError: None,
    errors.InvalidConfigurationError: "topic_configs",
    errors.InvalidGroupIdError: None,
    errors.InvalidPartitionsError: None,
    errors.InvalidReplicationFactorError: "replication",
    errors.InvalidSessionTimeoutError: "session_timeout_ms",
    errors.InvalidTopicError: None,
    errors.InvalidTransactionTimeout: None,
    errors.PolicyViolationError: None,
    errors.TopicAuthorizationFailedError: None,
    errors.TransactionalIdAuthorizationFailed: None,
}


def cancellations() -> int:
    """Return how often this task was asked to stop and has not yet been."""
    task = asyncio.current_task()
    return task.cancelling() if task else 0


def heed_cancellation(*, before: int = 0) -> None:
    """Stop if this task was asked to, ``before`` times aside, and the driver hid it.

    To stop, the driver cancels its own tasks, waits for them and suppresses their
    cancellation; whoever is cancelled while it waits loses his own with it.
    """
    if cancellations() > before:
        raise asyncio.CancelledError


@asynccontextmanager
async def border(where: str, *, limit_s: float) -> AsyncIterator[None]:
    """Let nothing of the driver out, and nothing take longer than ``limit_s``."""
    before = cancellations()
    try:
        async with asyncio.timeout(limit_s):
            yield
        heed_cancellation(before=before)
    except LogError:
        raise
    except TimeoutError as error:
        raise LogUnavailable(where, why=f"no answer in {limit_s:g} s") from error
    except DRIVER_ERRORS as error:
        raise translated(where, error) from error


def translated(where: str, error: BaseException) -> LogError:
    """Return what the driver raised as an error of the port, in one line."""
    return refusal(where, error) or unavailable(where, error)


def refusal(where: str, error: BaseException) -> LogRefused | None:
    """Return a refusal that waiting does not change as an error of the port."""
    for cause in _causes(error):
        if type(cause) in _LASTING:
            why = " ".join(_text(cause).split())
            return LogRefused(where, why=why, setting=_LASTING[type(cause)])
    return None


def unavailable(where: str, error: BaseException) -> LogUnavailable:
    """Return what the driver said as an error of the port, in one line."""
    return LogUnavailable(where, why=" ".join(_text(error).split()))


def is_fencing(error: BaseException) -> bool:
    """Tell whether the broker said that a newer owner has the transactional id."""
    return any(isinstance(e, _FENCING) for e in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it was raised from: the driver wraps what it meets."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _text(error: BaseException) -> str:
    root = list(_causes(error))[-1]
    return str(root) or type(root).__name__
