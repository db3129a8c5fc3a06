"""The worked examples of docs/fold.md, folded line by line."""

import re
from collections.abc import Iterator

import pytest

from schemas.prices import PriceObserved
from tests.support.folding import ALPHA, Folding, price
from tests.support.shared_data import ROOT

DOC = ROOT / "docs" / "fold.md"
START_MS = 1_800_000_000_000
_BLOCK = re.compile(r"^```fold\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINE = re.compile(
    r"(?P<source>\w+) +(?P<usd>[0-9.]+) +at (?P<at>\d+)(?: +time (?P<time>\d+))?"
    r" +(?P<decision>\w+) +(?P<price>[0-9.]+)"
)
EXAMPLES = [block.splitlines() for block in _BLOCK.findall(DOC.read_text())]


def told(lines: list[str]) -> Iterator[tuple[PriceObserved, str, str]]:
    for line in lines:
        said = _LINE.fullmatch(line)
        assert said is not None, line
        source_time = said["time"]
        event = price(
            said["usd"], said["source"], START_MS + int(said["at"]) * 1_000
        ).model_copy(
            update={"source_time": source_time and START_MS + int(source_time) * 1_000}
        )
        yield event, said["decision"], said["price"]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 6


@pytest.mark.parametrize("lines", EXAMPLES, ids=map(str, range(1, 1 + len(EXAMPLES))))
def test_an_example_is_as_the_fold_does_it(lines: list[str]) -> None:
    folding = Folding(future_tolerance_ms=2**52)
    for event, decision, usd in told(lines):
        assert folding.tell(event).decisions == {decision: 1}, event
        assert folding.state.open("prices.raw", ALPHA.encode()).usd == usd, event
