"""What docs/audit.md shows is what the commands say."""

import os

import pytest

from app.settings import PREFIX
from tests.support.audit_doc import DOC, renewed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_the_document_shows_what_the_commands_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If not: ``python -m tests.support.audit_doc`` writes it anew."""
    pytest.importorskip("pyarrow", reason="pip install 'stacks-feed[parquet]'")
    for name in list(os.environ):  # noqa: TID251 - no setting of this machine counts
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    text = DOC.read_text()
    assert renewed(text) == text
