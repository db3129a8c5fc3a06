"""What operators look up is in the documentation: every metric, every log line of trouble."""

import ast
from collections.abc import Iterator
from pathlib import Path

from app.metrics_doc import PAGE, markdown
from runtime.metrics import GROUPS
from tests.support.shared_data import ROOT

SERVICES = (
    "app",
    "audit",
    "edge",
    "eventlog",
    "ingest",
    "processor",
    "runtime",
    "simulator",
)
LEVELS = frozenset(("warning", "error", "critical", "exception"))


def test_the_page_of_metrics_is_that_of_the_declarations() -> None:
    """If not: `make metrics`."""
    assert (ROOT / PAGE).read_text(encoding="utf-8") == markdown()


def test_no_text_of_a_metric_breaks_its_table() -> None:
    told = [each for group in GROUPS for each in group.declarations]
    assert [each.name for each in told if "|" in each.meaning + each.alert] == []


def test_every_log_line_of_trouble_is_in_the_page_for_operators() -> None:
    """If not: add a row to the table of log lines in docs/operations.md."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    logged = {
        event
        for service in SERVICES
        for path in (ROOT / service).rglob("*.py")
        for event in _events(path)
    }
    assert len(logged) > 30
    assert sorted(event for event in logged if f"`{event}`" not in page) == []


def _events(path: Path) -> Iterator[str]:
    """Yield the events logged at WARNING and above, also those handed to `_warn`.

    And those of trouble that may last: an event, and the one that ends it.
    """
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match call:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="logger" | "_logger"), attr=level),
                args=[ast.Constant(value=str(event)), *_],
            ) if level in LEVELS:
                yield event
            case ast.Call(
                args=[
                    ast.Name(id="logger" | "_logger"),
                    ast.Constant(value=str(event)),
                    ast.Constant(value=str()),
                ]
            ):
                yield event
            case ast.Call(
                func=ast.Attribute(attr="_warn" | "_trouble"),
                args=[ast.Constant(value=str(event)), *_],
            ):
                yield event
            case _:
                pass
