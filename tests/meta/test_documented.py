"""What is looked up is in the documentation: every metric, every log line of trouble.

And what the documentation refers to is there: pages, headings, files.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

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
PAGES = sorted(
    path.relative_to(ROOT)
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
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


LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    broken = [
        match[0]
        for match in LINK.finditer(text)
        if not _leads_somewhere(ROOT / page, path=match[1], heading=match[2])
    ]
    assert broken == []


def _leads_somewhere(page: Path, *, path: str, heading: str | None) -> bool:
    target = page.parent / path if path else page
    if heading is None or target.suffix != ".md":
        return target.exists()
    return target.exists() and heading in _anchors(target)


def _anchors(page: Path) -> set[str]:
    """Return what headings are linked by: lower case, words joined by hyphens."""
    headings = re.findall(r"(?m)^#+ (.+)$", page.read_text(encoding="utf-8"))
    texts = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {text.strip().replace(" ", "-") for text in texts}


def test_each_decision_record_has_a_number_of_its_own() -> None:
    records = sorted(page.name for page in PAGES if page.parent.name == "decisions")
    assert [name[:5] for name in records] == [
        f"{number:04}-" for number in range(1, len(records) + 1)
    ]


def test_the_readme_names_every_page_of_the_documentation() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = [page.as_posix() for page in PAGES if page.parent == Path("docs")]
    assert [page for page in pages if f"({page})" not in readme] == []


def test_the_map_of_the_code_names_only_files_that_exist() -> None:
    """If not: correct ARCHITECTURE.md, which names a file by the end of its path."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+\.py)`", text))
    packages = (*SERVICES, "schemas", "stacks_feed_client", "tests")
    files = {
        f"/{path.relative_to(ROOT).as_posix()}"
        for package in packages
        for path in (ROOT / package).rglob("*.py")
    }
    assert len(named) > 50
    assert [
        name
        for name in sorted(named)
        if not any(file.endswith(f"/{name}") for file in files)
    ] == []
