"""``python -m tests.support.topics_doc``: put the examples into docs/topics.md as they are."""

import re

from tests.support.shared_data import ROOT

PAGE = ROOT / "docs" / "topics.md"
_EXAMPLE = re.compile(r"(<!-- (examples/[\w.]+) -->\n\n```\w+\n).*?(```\n)", re.DOTALL)


def with_examples(text: str) -> str:
    """Return the page with each example as its file is now."""
    return _EXAMPLE.sub(_with_example, text)


def _with_example(block: re.Match[str]) -> str:
    before, name, after = block.groups()
    return before + (PAGE.parent / name).read_text(encoding="utf-8") + after


if __name__ == "__main__":
    PAGE.write_text(with_examples(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
