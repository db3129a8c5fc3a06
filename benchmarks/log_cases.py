"""The cases of ``logs``: which trial beside which, and what we aim for."""

from pathlib import Path
from typing import Any

from benchmarks import new_prefix
from benchmarks.results import Result
from benchmarks.trial import alternate, median_cpu_us, run_trial

GOAL = 1.5


def sqlite_logs(folder: Path, *, count: int, rounds: int) -> list[Result]:
    """Measure the SQLite log beside bare sqlite3."""
    ours: dict[str, Any] = {"sqlite": str(folder / "log.sqlite")}
    bare = {"sqlite": str(folder / "bare.sqlite")}
    run_trial("logs.prepare", ours)
    return [
        _case(
            "sqlite append",
            ("append", ours),
            ("bare_sqlite_append", bare),
            count,
            rounds,
        ),
        _case(
            "sqlite commit",
            ("commit", ours),
            ("bare_sqlite_append", bare),
            count,
            rounds,
        ),
        _read_case("sqlite read", ours, ("bare_sqlite_read", bare), count, rounds),
    ]


def kafka_logs(bootstrap: str, *, count: int, rounds: int) -> list[Result]:
    """Measure the log on a broker beside bare aiokafka."""
    ours, bare = (
        {"kafka": bootstrap, "prefix": prefix}
        for prefix in (new_prefix("log"), new_prefix("bare"))
    )
    for each in (ours, bare):
        run_trial("logs.prepare", each)
    return [
        _case(
            "kafka append", ("append", ours), ("bare_kafka_append", bare), count, rounds
        ),
        _case(
            "kafka commit", ("commit", ours), ("bare_kafka_commit", bare), count, rounds
        ),
        _read_case("kafka read", ours, ("bare_kafka_read", bare), count, rounds),
    ]


def _case(
    name: str,
    ours: tuple[str, dict[str, Any]],
    bare: tuple[str, dict[str, Any]],
    count: int,
    rounds: int,
) -> Result:
    a, b = alternate(
        (f"logs.{ours[0]}", {**ours[1], "count": count}),
        (f"logs.{bare[0]}", {**bare[1], "count": count}),
        rounds=rounds,
    )
    mine, peer = median_cpu_us(a), median_cpu_us(b)
    return Result(
        name=name,
        value=mine,
        unit="us CPU a record",
        goal=GOAL,
        peer=f"the bare driver, {peer:.2f} us",
        ratio=mine / peer,
    )


def _read_case(
    name: str,
    ours: dict[str, Any],
    bare: tuple[str, dict[str, Any]],
    count: int,
    rounds: int,
) -> Result:
    return _case(name, ("read", ours), bare, count, rounds)
