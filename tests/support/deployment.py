"""The services as processes on one log, started, killed and stopped one by one."""

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from app.ports import free_port
from tests.support.processes import LIMIT_S, environment

_HOST = "127.0.0.1"
_RETRY_S = 0.05


@dataclass(frozen=True, slots=True)
class Instance:
    """A running service; ``port`` is where it answers, be it clients or operators."""

    name: str
    process: Process
    port: int
    err: Path

    @property
    def url(self) -> str:
        return f"http://{_HOST}:{self.port}"

    async def ready(self) -> None:
        """Wait until it says that it does its work."""
        await answers(f"{self.url}/health/ready")

    async def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels."""
        async with httpx.AsyncClient() as http:
            text = (await http.get(f"{self.url}/metrics")).text
        lines = (line for line in text.splitlines() if line.startswith(name))
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def failures(self) -> list[dict[str, Any]]:
        """Return the log lines that say that it failed."""
        lines = [json.loads(line) for line in self.err.read_text().splitlines()]
        return [line for line in lines if line["event"] == "service failed"]

    async def killed(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        await self.process.wait()


async def answers(url: str) -> None:
    """Wait until something answers there with 200."""
    async with asyncio.timeout(2 * LIMIT_S), httpx.AsyncClient() as http:
        while not await _is_well(http, url):  # noqa: ASYNC110 - other processes set no event of ours
            await asyncio.sleep(_RETRY_S)


async def _is_well(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url)).is_success
    except httpx.TransportError:  # it does not listen yet
        return False


@dataclass
class Deployment:
    """Services that share their settings."""

    cwd: Path
    settings: dict[str, object]
    simulator_port: int = field(default_factory=lambda: free_port(_HOST))
    instances: list[Instance] = field(default_factory=list)

    @property
    def simulator(self) -> str:
        """URL of the simulator, where one runs."""
        return f"http://{_HOST}:{self.simulator_port}"

    async def start(self, name: str) -> Instance:
        """Start one more instance of a service."""
        ports = self.simulator_port, free_port(_HOST)
        port = ports[0] if name == "simulator" else ports[1]
        own = {"edge": {"port": port}}.get(name, {"metrics_port": port})
        shared = self.settings | {"simulator_port": self.simulator_port}
        err = self.cwd / f"{name}-{len(self.instances)}.err"
        with err.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "app", name),
                cwd=self.cwd,
                env=environment(shared | own),
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
            )
        instance = Instance(name, process, port, err)
        self.instances.append(instance)
        return instance

    async def admin(self, path: str, **body: object) -> None:
        """Ask the simulator's operator side for something."""
        async with httpx.AsyncClient() as http:
            answer = await http.post(f"{self.simulator}/admin/{path}", json=body)
        answer.raise_for_status()

    def living(self) -> list[Instance]:
        return [i for i in self.instances if i.process.returncode is None]

    async def stopped(self) -> dict[str, int]:
        """Tell all that live to stop; return how each ended, by the file it wrote."""
        living = self.living()
        for instance in living:
            instance.process.terminate()
        async with asyncio.timeout(LIMIT_S):
            return {i.err.stem: await i.process.wait() for i in living}


@asynccontextmanager
async def deployment(cwd: Path, **settings: object) -> AsyncIterator[Deployment]:
    """Give room for services; at the end nothing of them is left."""
    deployed = Deployment(cwd, settings)
    try:
        yield deployed
    finally:
        for instance in deployed.living():
            await instance.killed()
