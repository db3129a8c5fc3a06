"""``python -m benchmarks [NAME…] [--quick]``: measure, print a table, keep the figures."""

import argparse
import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import ROOT, new_prefix
from benchmarks.asking_cases import asked
from benchmarks.edge_cases import QUICK_EDGE, EdgeSizes, edge_cases
from benchmarks.folding_cases import kafka_processor, sqlite_processor
from benchmarks.latency import kafka_latency, sqlite_latency
from benchmarks.log_cases import kafka_logs, sqlite_logs
from benchmarks.restoring_cases import restored
from benchmarks.results import Failed, Result, Skipped, as_json, show
from benchmarks.sustained_cases import kafka_sustained, sqlite_sustained
from benchmarks.takeover import kafka_takeover, sqlite_takeover
from benchmarks.verifying_cases import verified
from tests.support.broker import kafka_from_maven
from tests.support.broker_choice import has_maven

Measured = Sequence[Result | Skipped]
_NO_BROKER = "set KAFKA_BOOTSTRAP=host:port, or install Java 17+ and Maven"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured, and how often."""

    folded: int = 400_000
    logged: int = 200_000
    restored: int = 1_000_000
    sustained_sqlite: int = 1_000_000
    sustained_kafka: int = 7_000_000
    samples: int = 200
    kills: int = 6
    rounds: int = 3
    days: tuple[float, ...] = (0.25, 1, 3)
    scale: float = 1.0
    edge: EdgeSizes = field(default_factory=EdgeSizes)


QUICK = Sizes(
    folded=2_000,
    logged=2_000,
    restored=2_000,
    sustained_sqlite=2_000,
    samples=5,
    kills=2,
    rounds=2,
    days=(0.05,),
    scale=0.02,
    edge=QUICK_EDGE,
)

OnSqlite = Callable[[Path, Sizes], Measured]
OnKafka = Callable[[str, Path, Sizes], Measured]


def _sqlite_logs(folder: Path, sizes: Sizes) -> Measured:
    return sqlite_logs(folder, count=sizes.logged, rounds=sizes.rounds)


def _kafka_logs(bootstrap: str, _: Path, sizes: Sizes) -> Measured:
    return kafka_logs(bootstrap, count=sizes.logged, rounds=sizes.rounds)


def _sqlite_processor(folder: Path, sizes: Sizes) -> Measured:
    return sqlite_processor(folder, count=sizes.folded, rounds=sizes.rounds)


def _kafka_processor(bootstrap: str, folder: Path, sizes: Sizes) -> Measured:
    return kafka_processor(bootstrap, folder, count=sizes.folded, rounds=sizes.rounds)


def _sqlite_restore(folder: Path, sizes: Sizes) -> Measured:
    log = {"sqlite": str(folder / "state.sqlite")}
    return restored("sqlite", log, count=sizes.restored, rounds=sizes.rounds)


def _kafka_restore(bootstrap: str, _: Path, sizes: Sizes) -> Measured:
    log = {"kafka": bootstrap, "prefix": new_prefix("restore")}
    return restored("kafka", log, count=sizes.restored, rounds=sizes.rounds)


def _sqlite_sustained(folder: Path, sizes: Sizes) -> Measured:
    return sqlite_sustained(folder, count=sizes.sustained_sqlite)


def _kafka_sustained(bootstrap: str, _: Path, sizes: Sizes) -> Measured:
    return kafka_sustained(bootstrap, count=sizes.sustained_kafka)


def _sqlite_verify(folder: Path, sizes: Sizes) -> Measured:
    log = {"sqlite": str(folder / "verified.sqlite")}
    count, rounds = sizes.folded, sizes.rounds
    return verified("sqlite", log, count=count, rounds=rounds, goal=150_000)


def _kafka_verify(bootstrap: str, _: Path, sizes: Sizes) -> Measured:
    log = {"kafka": bootstrap, "prefix": new_prefix("verify")}
    count, rounds = sizes.folded, sizes.rounds
    return verified("kafka", log, count=count, rounds=rounds, goal=120_000)


def _sqlite_ask(folder: Path, sizes: Sizes) -> Measured:
    log = {"sqlite": str(folder / "year-")}
    return asked("sqlite", log, folder, days=sizes.days, scale=sizes.scale)


def _kafka_ask(bootstrap: str, folder: Path, sizes: Sizes) -> Measured:
    log = {"kafka": bootstrap, "prefix": new_prefix("year")}
    return asked("kafka", log, folder, days=sizes.days, scale=sizes.scale)


def _sqlite_latency(folder: Path, sizes: Sizes) -> Measured:
    return sqlite_latency(folder, samples=sizes.samples)


def _sqlite_edge(folder: Path, sizes: Sizes) -> Measured:
    return edge_cases(folder, sizes.edge)


def _kafka_edge(_: str, __: Path, ___: Sizes) -> Measured:
    """Nothing: what clients cost does not depend on the log."""
    return []


def _kafka_latency(bootstrap: str, folder: Path, sizes: Sizes) -> Measured:
    return kafka_latency(bootstrap, folder, samples=sizes.samples)


def _sqlite_takeover(folder: Path, sizes: Sizes) -> Measured:
    return sqlite_takeover(folder, rounds=sizes.kills)


def _kafka_takeover(bootstrap: str, folder: Path, sizes: Sizes) -> Measured:
    return kafka_takeover(bootstrap, folder, rounds=sizes.kills)


CASES: dict[str, tuple[OnSqlite, OnKafka]] = {
    "processor": (_sqlite_processor, _kafka_processor),
    "sustained": (_sqlite_sustained, _kafka_sustained),
    "logs": (_sqlite_logs, _kafka_logs),
    "latency": (_sqlite_latency, _kafka_latency),
    "takeover": (_sqlite_takeover, _kafka_takeover),
    "restore": (_sqlite_restore, _kafka_restore),
    "verify": (_sqlite_verify, _kafka_verify),
    "ask": (_sqlite_ask, _kafka_ask),
    "edge": (_sqlite_edge, _kafka_edge),
}


def measure(
    names: Sequence[str], sizes: Sizes, *, kafka: bool
) -> list[Result | Skipped]:
    """Measure the cases named, on SQLite and then on a broker."""
    found: list[Result | Skipped] = []
    with TemporaryDirectory(prefix="bench-") as folder, _broker(kafka) as bootstrap:
        place = Path(folder)
        for name in names:
            on_sqlite, on_kafka = CASES[name]
            found += _tried(f"sqlite {name}", partial(on_sqlite, place, sizes))
            if bootstrap is not None:
                found += _tried(
                    f"kafka {name}", partial(on_kafka, bootstrap, place, sizes)
                )
            elif kafka:
                found.append(Skipped(f"kafka {name}", _NO_BROKER))
    return found


def _tried(name: str, measure_it: Callable[[], Measured]) -> Measured:
    """Measure; a failure must not cost the figures of the others."""
    print(f"measuring {name}", file=sys.stderr)
    try:
        return measure_it()
    except Exception as error:  # noqa: BLE001 - shown in the table, and the exit code is 1
        traceback.print_exc()
        last_words = (str(error).strip() or type(error).__name__).splitlines()[-1]
        return [Failed(name, last_words)]


@contextlib.contextmanager
def _broker(wanted: bool) -> Iterator[str | None]:
    """Yield the address of a broker, ``None`` where there is none to be had."""
    given = os.environ.get("KAFKA_BOOTSTRAP")
    if wanted and given is None and has_maven():
        with kafka_from_maven() as kafka:
            yield kafka.bootstrap
    else:
        yield given if wanted else None


def _quieten() -> None:
    """A broker that is just starting is no news."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("httpx").setLevel(logging.WARNING)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the command line names; all of it when it names nothing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CASES))
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, SQLite only: does it run?"
    )
    parser.add_argument("--output", type=Path, help="where the figures go")
    told = parser.parse_args(arguments)
    if unknown := set(told.names) - set(CASES):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    sizes = QUICK if told.quick else Sizes()
    _quieten()
    found = measure(told.names or list(CASES), sizes, kafka=not told.quick)
    show(found)
    output = told.output or (None if told.quick else ROOT / "benchmarks/results.json")
    if output is not None:
        output.write_text(as_json(found, date=f"{datetime.now(UTC):%Y-%m-%d}"))
    if any(isinstance(each, Failed) for each in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
