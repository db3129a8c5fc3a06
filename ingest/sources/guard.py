"""The guard around everything that reads what strangers sent."""

import logging
import traceback
from collections.abc import Callable
from typing import TypeVar

from ingest.core.normalize.body import Unusable

_logger = logging.getLogger("ingest.guard")
_T = TypeVar("_T")
# Errors that were logged already, by source, kind and line of the code.
_logged: set[tuple[str, str, str]] = set()


def guarded(source: str, read: Callable[[], _T | Unusable]) -> _T | Unusable:
    """Return what ``read`` makes of foreign bytes; an exception makes it ``Unusable``.

    A bug of a reader must cost the answer that shows it, not the service. It is logged
    once for each source and line of the code, with its traceback.
    """
    try:
        return read()
    except Exception as error:  # noqa: BLE001 - this is the guard
        log_bug(source, error)
        return Unusable(f"it cannot be read for a bug of ours: {type(error).__name__}")


def log_bug(source: str, error: Exception) -> None:
    """Log an exception that nobody expected, unless the same was logged before."""
    places = traceback.extract_tb(error.__traceback__)
    place = f"{places[-1].filename}:{places[-1].lineno}" if places else ""
    key = (source, type(error).__name__, place)
    if key in _logged:
        return
    _logged.add(key)
    _logger.error(
        "answer not readable for a bug", extra={"source": source}, exc_info=error
    )
