"""``python -m tests.support.audit_doc``: run each command in docs/audit.md, keep what it says."""

import contextlib
import io
import logging
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from app.cli import main
from tests.support.shared_data import ROOT
from tests.support.worked_case import write_case

DOC = ROOT / "docs" / "audit.md"
_BLOCK = re.compile(r"^```console\n\$ stacks-feed (.*)\n(?:.*\n)*?```$", re.MULTILINE)
# How long it took is of no machine but this one.
_TOOK = re.compile(r"in [0-9.]+ s \([0-9,]+ a second\)")


def renewed(text: str) -> str:
    """Return a document with what its commands say now, on the log of the worked case."""
    with _in_a_folder_with_the_log():
        return _BLOCK.sub(_renewed, text)


def _renewed(block: re.Match[str]) -> str:
    command = block[1]
    said = io.StringIO()
    with (
        _logging_put_back(),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        main(shlex.split(command))
    text = _TOOK.sub("in 0.1 s (… a second)", said.getvalue())
    return f"```console\n$ stacks-feed {command}\n{text}```"


@contextmanager
def _logging_put_back() -> Iterator[None]:
    """Undo what a command sets up of logging: other tests of this process look at it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        root.handlers[:] = handlers
        root.setLevel(level)


@contextmanager
def _in_a_folder_with_the_log() -> Iterator[None]:
    before = Path.cwd()
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            Path("data").mkdir()
            write_case(Path("data/stacks-feed.sqlite"))
            yield
        finally:
            os.chdir(before)


if __name__ == "__main__":
    DOC.write_text(renewed(DOC.read_text()))
