"""The cases of ``sustained``: what one processor process does a second, and at what cost."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import new_prefix
from benchmarks.results import Result
from benchmarks.trial import Cost, run_trial

GOAL = 100_000
# What a log has that nobody configured.
_SQLITE_PARTITIONS, _KAFKA_PARTITIONS = 2, 6
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def sqlite_sustained(folder: Path, *, count: int) -> list[Result]:
    """Measure the process on SQLite."""
    told = {
        "sqlite": str(folder / "sustained.sqlite"),
        "count": count,
        "partitions": _SQLITE_PARTITIONS,
    }
    run_trial("sustained.fill", told)
    return _rows("sqlite sustained", run_trial("sustained.serve", told), goal=None)


def kafka_sustained(bootstrap: str, *, count: int) -> list[Result]:
    """Measure the process on a broker, with its partitions and with a single one."""
    found: list[Result] = []
    for partitions in (_KAFKA_PARTITIONS, 1):
        told: dict[str, Any] = {
            "kafka": bootstrap,
            "prefix": new_prefix(f"sustained-{partitions}"),
            "count": count,
            "partitions": partitions,
        }
        run_trial("sustained.fill", told)
        broker = Listener(bootstrap)
        cost = run_trial("sustained.serve", told)
        name = f"kafka sustained, {partitions} partition{'s'[: partitions > 1]}"
        found += _rows(name, cost, goal=GOAL, broker_cpu_s=broker.cpu_s())
    return found


def _rows(
    name: str, cost: Cost, *, goal: float | None, broker_cpu_s: float | None = None
) -> list[Result]:
    lag = cost.extra["lag"]
    if lag:
        raise AssertionError(f"{lag:,.0f} observations were left")
    rows = [
        Result(
            name=name,
            value=cost.per_wall_s,
            unit=f"observations a second for {cost.wall_s:,.0f} s",
            goal=goal,
            bound="at least",
            of="value",
        ),
        Result(
            name=name, value=cost.cpu_s / cost.wall_s, unit="cores by the processor"
        ),
    ]
    if broker_cpu_s is not None:
        cores = broker_cpu_s / cost.wall_s
        rows.append(Result(name=name, value=cores, unit="cores by the broker"))
    return rows


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    cpu_s: float


class Listener:
    """The process of this machine that listens at an address, and the CPU it used."""

    def __init__(self, address: str) -> None:
        self._before = _listening(int(address.rpartition(":")[2]))

    def cpu_s(self) -> float | None:
        """Return what it used since this was made; ``None`` if it is not to be seen."""
        before = self._before
        return None if before is None else _cpu_s(before.pid) - before.cpu_s


def _listening(port: int) -> _Process | None:
    sockets = set(_sockets(port))
    for folder in Path("/proc").glob("[0-9]*/fd"):
        if sockets & _held(folder):
            pid = int(folder.parent.name)
            return _Process(pid, _cpu_s(pid))
    return None


def _held(folder: Path) -> set[str]:
    """Return what a process has open, as far as it lets us see."""
    held = set()
    with contextlib.suppress(PermissionError, FileNotFoundError):
        for file in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                held.add(str(file.readlink()))
    return held


def _sockets(port: int) -> Iterator[str]:
    """Yield what the links to sockets that listen at a port read."""
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[1].endswith(f":{port:04X}"):
                yield f"socket:[{fields[9]}]"


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND
