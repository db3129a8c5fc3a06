"""Readiness of a process, from named checks."""

from collections.abc import Callable, Mapping

Check = Callable[[], str | None]


class Health:
    """The named checks of one process.

    A check answers with what is wrong in one line, or ``None``. It must be quick and must
    not raise: it looks at what its part already knows.
    """

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def add(self, name: str, check: Check) -> None:
        """Let ``check`` have its say under ``name`` from now on."""
        self._checks[name] = check

    def reasons(self) -> Mapping[str, str]:
        """Return what is wrong now, by name; empty means ready."""
        said = ((name, check()) for name, check in self._checks.items())
        return {name: wrong for name, wrong in said if wrong is not None}
