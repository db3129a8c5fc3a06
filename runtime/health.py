"""Readiness of a process, from named checks; and what else its operator should see."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Service: TypeAlias = Literal["ingest", "processor", "edge", "audit"]
Check = Callable[[], str | None]
Fact = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Report:
    """How a process is now: not ready for ``reasons``, ready in spite of ``warnings``.

    ``facts`` judge nothing; they are what JSON can say.
    """

    reasons: Mapping[str, str]
    warnings: Mapping[str, str]
    facts: Mapping[str, object]

    @property
    def ready(self) -> bool:
        """Whether the process does its work."""
        return not self.reasons

    def body(self) -> dict[str, object]:
        """Return the report as the answer of ``/health/ready`` says it."""
        return {
            "ready": self.ready,
            "reasons": _lines(self.reasons),
            "warnings": _lines(self.warnings),
            **self.facts,
        }


class Health:
    """The named checks of one process, which runs ``service``; ``None`` runs them all.

    A check answers with what is wrong in one line, or ``None``. It must be quick and must
    not raise: it looks at what its part already knows.
    """

    def __init__(self, service: Service | None = None) -> None:
        self.service = service
        self._checks: dict[str, Check] = {}
        self._warnings: dict[str, Check] = {}
        self._facts: dict[str, Fact] = {}
        self._measures: list[Callable[[], None]] = []

    def add(self, name: str, check: Check) -> None:
        """Let ``check`` have its say under ``name`` from now on: is the process ready?"""
        self._checks[name] = check

    def drop(self, name: str) -> None:
        """Forget the check of this name."""
        self._checks.pop(name, None)

    def warn(self, name: str, check: Check) -> None:
        """Let ``check`` say what an operator should see, though the work goes on."""
        self._warnings[name] = check

    def tell(self, name: str, fact: Fact) -> None:
        """Show what ``fact`` returns, whatever it is; ``None`` is nothing to show."""
        self._facts[name] = fact

    def measure(self, gauges: Callable[[], None]) -> None:
        """Have ``gauges`` set, each time metrics are asked for, what is then as it is."""
        self._measures.append(gauges)

    def measured(self) -> None:
        """Set all that is to be set before metrics are told."""
        for gauges in self._measures:
            gauges()

    def reasons(self) -> Mapping[str, str]:
        """Return what is wrong now, by name; empty means ready."""
        return _said(self._checks)

    def report(self) -> Report:
        """Return all there is to say now."""
        told = ((name, fact()) for name, fact in self._facts.items())
        facts = {name: said for name, said in told if said is not None}
        return Report(self.reasons(), _said(self._warnings), facts)


def _said(checks: Mapping[str, Check]) -> Mapping[str, str]:
    said = ((name, check()) for name, check in checks.items())
    return {name: wrong for name, wrong in said if wrong is not None}


def _lines(said: Mapping[str, str]) -> list[str]:
    return [f"{name}: {wrong}" for name, wrong in said.items()]
