"""The layout holds: sizes, a test file for each module, no test of what is not there."""

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
WITH_A_CORE = (
    "audit",
    "edge",
    "ingest",
    "processor",
    "simulator",
    "stacks_feed_client",
)
MAX_LINES = 400
MAX_FUNCTION_LINES = 50
UNIT = ROOT / "tests" / "unit"
# Their tests need sockets, brokers or several parts at once and stand in tests/contract,
# tests/integration and tests/e2e; what decides in them is in modules with tests of their own.
SHELLS = {
    "app/bootstrap.py",
    "app/commands/audit_watch.py",
    "app/commands/service.py",
    "eventlog/port.py",
}
TESTED_AS_A_WHOLE = ("eventlog/kafka/", "eventlog/sqlite/")


def modules() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_shell(path: Path) -> bool:
    """Tell the shell of a package, which meets the world, from its core."""
    name = name_of(path)
    has_a_core = name.split("/")[0] in WITH_A_CORE
    return (
        name in SHELLS
        or name.startswith(TESTED_AS_A_WHOLE)
        or (has_a_core and "/core/" not in name)
    )


def only_declares(path: Path) -> bool:
    """Tell a module of records without code of its own: `test_base.py` tries them all."""
    functions = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    tree = ast.parse(path.read_text())
    return path.parent.name == "schemas" and not any(
        isinstance(node, functions) for node in ast.walk(tree)
    )


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    everything = [*modules(), *(ROOT / "tests").rglob("*.py")]
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in everything}
    assert {n: length for n, length in lengths.items() if length > MAX_LINES} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{name_of(path)}:{node.lineno} {node.name}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert long == []


def test_every_module_outside_the_shells_has_a_test_file_of_its_own() -> None:
    missing = [
        name_of(path)
        for path in modules()
        if not path.name.startswith("__")
        and not is_shell(path)
        and not only_declares(path)
        and not (UNIT / name_of(path.with_name(f"test_{path.name}"))).exists()
    ]
    assert missing == []


def test_every_unit_test_file_stands_where_its_module_does() -> None:
    """A file may add words to the module's name: `test_log_clock.py` tests `log.py`.

    Directly in tests/unit stand tests of several modules together, and of the support.
    """
    stray = [
        name_of(path)
        for path in sorted(UNIT.rglob("test_*.py"))
        if path.parent != UNIT
        and not any(
            (ROOT / path.relative_to(UNIT).parent / name).exists()
            for name in _possible_modules(path.stem.removeprefix("test_"))
        )
    ]
    assert stray == []


def _possible_modules(stem: str) -> Iterator[str]:
    words = stem.split("_")
    for count in range(len(words), 0, -1):
        name = "_".join(words[:count])
        yield f"{name}.py"
        yield name


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
