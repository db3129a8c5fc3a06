"""Several histories as one: in the order of their moments, in bounded memory."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ingest.core.history import BadRow, Past

# So many lines of a file may stand in another order than their moments.
WINDOW = 65_536


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file: what it holds, and where it stands."""

    file: int
    number: int
    row: Past | BadRow


_Ordered = tuple[int, int, int, int, Line]


def merged(files: Sequence[Iterable[Line]], *, window: int = WINDOW) -> Iterator[Line]:
    """Yield the lines of all files by (moment, sequence), ties by file and line.

    Each file is sorted within a window: a line may stand up to ``window`` lines from
    where it belongs. One that is out of place by more comes back as a ``BadRow``, as
    do bad lines, near where they stand.
    """
    for *_, line in heapq.merge(*(_sorted(lines, window=window) for lines in files)):
        yield line


def _sorted(lines: Iterable[Line], *, window: int) -> Iterator[_Ordered]:
    waiting: list[_Ordered] = []
    last = (-1, -1)
    for line in lines:
        if isinstance(line.row, BadRow):
            yield _ordered(line, last)
            continue
        moment = (line.row.observed_at, line.row.sequence)
        if moment < last:
            late = Line(line.file, line.number, BadRow("out of order by too much"))
            yield _ordered(late, last)
            continue
        heapq.heappush(waiting, _ordered(line, moment))
        if len(waiting) > window:
            first = heapq.heappop(waiting)
            last = first[:2]
            yield first
    while waiting:
        yield heapq.heappop(waiting)


def _ordered(line: Line, moment: tuple[int, int]) -> _Ordered:
    return (*moment, line.file, line.number, line)
