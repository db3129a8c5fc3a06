"""A child ends when whoever started it is gone."""

import os

import pytest

from app.errors import OperatorError
from app.parent import until_parent_is_gone


async def test_the_end_of_stdin_is_the_end_of_the_parent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading) as pipe:
        monkeypatch.setattr("sys.stdin", pipe)
        with pytest.raises(OperatorError, match="gone"):
            await until_parent_is_gone()
