"""The border: what the driver raises becomes one of the port's errors."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from aiokafka import errors

from eventlog.port import LogError, LogUnavailable

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
        raise unavailable(where, error) from error


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
    if isinstance(root, errors.UnknownError):
        # The driver knows no code above 79. Of those that we can meet, the common one
        # is that of an invalid record.
        return (
            "the broker refused with an error that its client does not know, perhaps "
            "a record without a key in a compacted topic"
        )
    return str(root) or type(root).__name__
