"""From an upstream's answer to a subscriber's socket, through the system that ``up`` runs.

One balance of the simulated chain is changed at a time; ingest reads the account at short
intervals, the processor folds it, the edge sends it. What is measured begins when the
account that has the change is handed to ingest's socket and ends when the client has the
frame. Beside it the same from the moment that the message carries, in whole milliseconds:
when ingest began to ask.
"""

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection

from benchmarks import new_prefix
from benchmarks.relay import Relay, relay
from benchmarks.results import Result
from tests.support.system import System, client, system

_USER = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS"
_TOKEN = f"{_USER}.charisma-token"
_FIRST, _LIMIT_S = 1_000_000, 30.0
# Changes that are not counted: the first waits for a lease, and ingest asks two hundred
# contracts for their decimals meanwhile.
_WARM_UP = 30
# Nothing else moves: prices are read once and the chain stands still.
_QUIET = {
    "price_interval_s": 3_600,
    "simulator_tick_s": 0,
    "balance_interval_s": 0.1,
    "push": "false",
    "log_level": "WARNING",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """How long one change took."""

    since_answer_ms: float
    since_asked_ms: float


def sqlite_latency(folder: Path, *, samples: int) -> list[Result]:
    """Measure on an embedded log."""
    return _results("sqlite latency", folder, samples, goal_ms=5.0, log="log.sqlite")


def kafka_latency(bootstrap: str, folder: Path, *, samples: int) -> list[Result]:
    """Measure on a broker."""
    return _results(
        "kafka latency",
        folder,
        samples,
        goal_ms=15.0,
        log=f"kafka://{bootstrap}",
        log_prefix=new_prefix("latency"),
        environment="development",
    )


def _results(
    name: str, folder: Path, samples: int, *, goal_ms: float, **settings: object
) -> list[Result]:
    cwd = folder / name.replace(" ", "-")
    cwd.mkdir()
    taken = asyncio.run(_measure(cwd, samples, {**_QUIET, **settings}))
    p50, p99 = percentiles_ms([each.since_answer_ms for each in taken])
    asked_p50, _ = percentiles_ms([each.since_asked_ms for each in taken])
    return [
        Result(
            name=f"{name} p50",
            value=p50,
            unit="ms from answer to socket",
            goal=goal_ms,
            of="value",
            peer=f"a limit of {goal_ms:g} ms",
            ratio=p50 / goal_ms,
        ),
        Result(name=f"{name} p99", value=p99, unit="ms from answer to socket"),
        Result(name=f"{name} p50", value=asked_p50, unit="ms from question to socket"),
    ]


def percentiles_ms(taken_ms: list[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile."""
    cuts = quantiles(taken_ms, n=100, method="inclusive")
    return cuts[49], cuts[98]


async def _measure(
    cwd: Path, samples: int, settings: dict[str, object]
) -> list[Sample]:
    async with (
        relay() as passing,
        system(cwd, hiro_url=f"{passing.url}/hiro", **settings) as running,
        client(f"ws://{running.edge}/parties/balances/main") as socket,
    ):
        await _listening(running.simulator)
        passing.simulator.set_result(running.simulator)
        await socket.send(json.dumps({"type": "SUBSCRIBE", "userIds": [_USER]}))
        trying = _Trying(running, socket, passing)
        taken = [await trying.one(_FIRST + n) for n in range(_WARM_UP + samples)]
        return taken[_WARM_UP:]


async def _listening(url: str) -> None:
    """Wait until somebody answers there."""
    async with asyncio.timeout(_LIMIT_S), httpx.AsyncClient() as http:
        while True:
            with contextlib.suppress(httpx.TransportError):
                await http.get(f"{url}/admin/faults")
                return
            await asyncio.sleep(0.05)


@dataclass(frozen=True, slots=True)
class _Trying:
    """The system, a subscriber, and who sees what ingest is told."""

    running: System
    socket: ClientConnection
    passing: Relay

    async def one(self, amount: int) -> Sample:
        """Change the balance; return how long the news took."""
        self.passing.await_text(f'"{amount}"')
        await self.running.admin(
            "balance", user=_USER, contractId=_TOKEN, amount=str(amount)
        )
        async with asyncio.timeout(_LIMIT_S):
            while True:
                text = await self.socket.recv()
                now_s, now_ms = time.perf_counter(), time.time_ns() / 1e6
                said = _saying(json.loads(text), amount)
                if said is not None:
                    answered_ms = (now_s - self.passing.seen_s) * 1e3
                    return Sample(answered_ms, now_ms - float(said["timestamp"]))


def _saying(message: dict[str, Any], amount: int) -> dict[str, Any] | None:
    """Return what in a message says that the balance is ``amount``."""
    for each in message.get("balances", [message]):
        if each.get("contractId") == _TOKEN and each.get("balance") == amount:
            return dict(each)
    return None
