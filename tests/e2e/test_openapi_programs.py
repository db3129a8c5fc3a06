"""Programs of others that read ``/openapi.json``: linters, generators, fuzzers.

They are installed for these tests alone, from their registries.
"""

import asyncio
import json
import shutil
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge.config import Allowances
from eventlog.port import EventLog
from tests.support.serving import (
    ANNE,
    BOB,
    CHA,
    Serving,
    balance,
    serving,
    the_tokens,
    two_prices,
)
from tests.support.shared_data import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_FILES = ROOT / "tests" / "data" / "openapi_programs"
_DOCUMENT = ROOT / "edge" / "static" / "openapi.json"
_LONG_S = 500.0
_EXAMPLES = "20"


async def a_table(log: EventLog) -> None:
    await the_tokens(log)
    await two_prices(log)
    await balance(log, ANNE, CHA, 1_500_000, charisma_token_subnet_v1=5)


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Serving]:
    """Run an edge with the limits that the document describes."""
    allowances = Allowances(ids_per_message=500)
    async with serving(tmp_path, before=a_table, allowances=allowances) as running:
        yield running


async def run(*command: str, cwd: Path) -> tuple[int, str]:
    """Run a program; return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(_LONG_S):
            out, error = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, (out + error).decode()


async def runs(*command: str, cwd: Path) -> str:
    """Run a program that must succeed; return what it said."""
    code, said = await run(*command, cwd=cwd)
    assert code == 0, said
    return said


async def node_programs(folder: Path) -> Path:
    """Install the programs of npm; return their folder."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs Node.js 20 or later with npm: apt install nodejs npm")
    shutil.copytree(_FILES, folder)
    code, said = await run(npm, "ci", "--no-audit", "--no-fund", cwd=folder)
    if code:
        pytest.skip(f"needs the npm registry: {said[:300]}")
    return folder


async def python_programs(folder: Path) -> Path:
    """Install the programs of PyPI; return the folder of their commands."""
    await runs(sys.executable, "-m", "venv", f"{folder}", cwd=ROOT)
    programs = folder / "bin"
    requirements = f"{_FILES / 'requirements.txt'}"
    options = ("--quiet", "--require-hashes", "--requirement", requirements)
    install = ("-m", "pip", "install", *options)
    code, said = await run(f"{programs / 'python'}", *install, cwd=ROOT)
    if code:
        pytest.skip(f"needs PyPI: {said[-300:]}")
    return programs


def said_as_json(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text.strip().splitlines()[-1])
    return found


async def test_the_linter_finds_nothing_and_a_generated_client_compiles_and_works(
    edge: Serving, tmp_path: Path
) -> None:
    folder = await node_programs(tmp_path / "node")
    programs = folder / "node_modules" / ".bin"
    lint = ("lint", f"{_DOCUMENT}", "--extends", "recommended", "--format", "json")
    found = await runs(f"{programs / 'redocly'}", *lint, cwd=folder)
    totals = json.loads(found[found.index("{") : found.rindex("}") + 1])["totals"]
    assert (totals["errors"], totals["warnings"]) == (0, 0), found
    types = (f"{_DOCUMENT}", "--output", "schema.d.ts")
    await runs(f"{programs / 'openapi-typescript'}", *types, cwd=folder)
    await runs(f"{programs / 'tsc'}", cwd=folder)
    url = f"http://{edge.host}"
    said = await runs("node", "built/client.js", url, ANNE, BOB, cwd=folder)
    assert said_as_json(said) == {
        "some": ["stx", ".stx"],
        "recovered": True,
        "error": "unreadable-cursor",
        "users": [ANNE, BOB],
        "refreshed": "triggered",
        "room": "prices",
    }


async def test_a_generated_python_client_and_httpx_sse_work_and_a_fuzzer_finds_nothing(
    edge: Serving, tmp_path: Path
) -> None:
    programs = await python_programs(tmp_path / "venv")
    python, url = f"{programs / 'python'}", f"http://{edge.host}"
    generate = ("generate", "--path", f"{_DOCUMENT}", "--output-path", "generated")
    await runs(f"{programs / 'openapi-python-client'}", *generate, cwd=tmp_path)
    # Python finds what lies beside a program.
    shutil.copy(_FILES / "client.py", tmp_path / "generated")
    client = f"{tmp_path / 'generated' / 'client.py'}"
    said = await runs(python, client, url, ANNE, BOB, cwd=tmp_path)
    assert said_as_json(said) == {
        "whole": "PricesBody",
        "since": "PricesSince",
        "recovered": True,
        "removed": [],
        "goes_on": True,
        "some": ["stx", ".stx"],
        "error": "unreadable-cursor",
        "users": [ANNE, BOB],
        "held_since": "BalancesSince",
        "kept": 304,
        "refreshed": "triggered",
        "room": "balances",
        "ready": True,
        "live": "live",
    }
    heard = await runs(python, f"{_FILES / 'events.py'}", f"{url}/prices", cwd=tmp_path)
    assert json.loads(heard) == ["SERVER_INFO", "PRICE_BATCH"]
    fuzz = ("run", f"{url}/openapi.json", "--max-examples", _EXAMPLES, "--seed", "1")
    await runs(f"{programs / 'schemathesis'}", *fuzz, cwd=tmp_path)
