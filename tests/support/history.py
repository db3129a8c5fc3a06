"""Real history as observations: prices, accounts, subnets, tokens; and what disturbs it.

The files that ``write`` leaves are those that ``stacks-feed backfill`` reads;
``observations`` is what they hold, in the order in which it appends it.
"""

import csv
import heapq
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.support.history_accounts import account_observations
from tests.support.history_prices import price_files
from tests.support.history_tokens import token_observations
from tests.support.history_types import Observation

COLUMNS = ("contractId", "source", "usd", "observedAt", "sequence")


def files() -> dict[str, Sequence[Observation]]:
    """Return the observations of each file, in its order."""
    prices = {f"{name}.csv": seen for name, seen in price_files()}
    return prices | {
        "accounts.jsonl": account_observations(),
        "tokens.jsonl": token_observations(),
    }


def write(folder: Path) -> list[Path]:
    """Write the history into a folder; return the files in the order of ties."""
    written = []
    for name, seen in files().items():
        path = folder / name
        if path.suffix == ".csv":
            _write_csv(path, seen)
        else:
            path.write_bytes(b"".join(one.value + b"\n" for one in seen))
        written.append(path)
    return written


def observations() -> Iterator[Observation]:
    """Yield all of it by moment; ties by file, then by line."""
    return heapq.merge(*(_by_moment(seen) for seen in files().values()), key=_moment)


def _by_moment(seen: Iterable[Observation]) -> list[Observation]:
    return sorted(seen, key=_moment)


def _moment(seen: Observation) -> tuple[int, int]:
    return seen.observed_at, seen.sequence


def _write_csv(path: Path, seen: Sequence[Observation]) -> None:
    with path.open("w", newline="") as opened:
        rows = csv.writer(opened, lineterminator="\n")
        rows.writerow(COLUMNS)
        for one in seen:
            rows.writerow(one.fields[column] for column in COLUMNS)
