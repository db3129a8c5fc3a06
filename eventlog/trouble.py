"""How an adapter tells of trouble that it waits out; the process decides how often to log it."""

import logging
from collections.abc import Callable
from typing import Protocol


class Trouble(Protocol):
    """One kind of trouble at one place, told each time it happens and when all is well."""

    def happened(self, **fields: object) -> None:
        """Note that it happened now; ``fields`` say more."""
        ...

    def over(self) -> None:
        """Note that all is well; it may be called again and again."""
        ...


# Takes a logger, the name of the event, and the name of the event that ends it.
NewTrouble = Callable[[logging.Logger, str, str], Trouble]


class EachTime:
    """Logs each time; for programs that are gone before it could become too often."""

    def __init__(self, logger: logging.Logger, event: str, ended: str) -> None:
        self._logger, self._event, self._ended = logger, event, ended
        self._is_told = False

    def happened(self, **fields: object) -> None:
        """Log it."""
        self._logger.warning(self._event, extra=fields)
        self._is_told = True

    def over(self) -> None:
        """Log the end of what was logged."""
        if self._is_told:
            self._logger.info(self._ended)
        self._is_told = False
