"""What the client library offers, and that its README is true."""

import asyncio
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

import stacks_feed_client
from tests.support.serving import (
    ANNE,
    CHA,
    LONG_S,
    balance,
    serving,
    the_tokens,
    two_prices,
)
from tests.support.shared_data import ROOT

README = ROOT / "stacks_feed_client" / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
PRELUDE = "from stacks_feed_client import connect\n"


def test_the_public_names_are_there_and_sorted() -> None:
    names = stacks_feed_client.__all__
    assert names == sorted(names)
    assert all(hasattr(stacks_feed_client, name) for name in names)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
async def test_an_example_of_the_readme_prints_something(
    number: int, tmp_path: Path
) -> None:
    printed: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
    async with serving(tmp_path, before=two_prices) as running:
        await the_tokens(running.log)
        await balance(running.log, ANNE, CHA, 5)
        await running.taken_in()
        code = re.sub(r"wss://\w+\.example", f"ws://{running.host}", EXAMPLES[number])
        body = textwrap.indent(code.removeprefix(PRELUDE), "    ")
        scope: dict[str, Any] = {"print": lambda *said: printed.put_nowait(said)}
        exec(f"{PRELUDE}async def example():\n{body}", scope)  # noqa: S102 - our own
        async with asyncio.timeout(LONG_S), asyncio.TaskGroup() as group:
            task = group.create_task(scope["example"]())
            assert await printed.get()
            task.cancel()
