"""Import rules that the import contracts cannot state."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.shared_data import ROOT

PACKAGES = (
    "app",
    "audit",
    "edge",
    "eventlog",
    "ingest",
    "processor",
    "runtime",
    "schemas",
    "simulator",
    "stacks_feed_client",
)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("package", PACKAGES)
def test_no_package_imports_the_tests(package: str) -> None:
    guilty = [
        name_of(path)
        for path in (ROOT / package).rglob("*.py")
        if any(name.split(".")[0] == "tests" for name in _imported(path))
    ]
    assert guilty == []


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_test_folders_are_no_packages() -> None:
    folders = ("unit", "contract", "integration", "e2e", "meta")
    inits = [
        name_of(path)
        for folder in folders
        for path in (ROOT / "tests" / folder).rglob("__init__.py")
    ]
    assert inits == []
