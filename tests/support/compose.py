"""docker-compose.yml as a system of its own: other ports, another project, thrown away."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from app.ports import free_ports
from tests.support.broker_choice import has_docker
from tests.support.shared_data import ROOT

_UP_S = 1_200
_COMMAND_S = 300


@dataclass(frozen=True, slots=True)
class Answered:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class ComposedSystem:
    """A running system; both edges are published on this machine."""

    project: str
    environment: dict[str, str]
    edge_port: int
    edge_2_port: int

    @property
    def edges(self) -> tuple[str, str]:
        """Host and port of each edge."""
        return f"127.0.0.1:{self.edge_port}", f"127.0.0.1:{self.edge_2_port}"

    def compose(self, *arguments: str, limit_s: float = _COMMAND_S) -> Answered:
        """Run ``docker compose`` for this system."""
        project = ("compose", "--project-name", self.project)
        return self._run(
            *project, "--file", "docker-compose.yml", *arguments, limit_s=limit_s
        )

    def docker(self, *arguments: str) -> Answered:
        """Run ``docker``; raises if that fails."""
        answered = self._run(*arguments, limit_s=_COMMAND_S)
        assert answered.code == 0, answered
        return answered

    def command(self, service: str, *arguments: str) -> Answered:
        """Run ``stacks-feed`` in the container of a service."""
        return self.compose("exec", "-T", service, "stacks-feed", *arguments)

    def container(self, name: str) -> str:
        """Return the container's full name, of ``processor-1`` or ``redpanda-1``."""
        return f"{self.project}-{name}"

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return the state of each container by its name within the project."""
        listed = self.compose("ps", "--all", "--format", "json")
        assert listed.code == 0, listed
        states = [json.loads(line) for line in listed.out.splitlines()]
        return {
            state["Name"].removeprefix(f"{self.project}-"): state for state in states
        }

    def _run(self, *arguments: str, limit_s: float) -> Answered:
        docker = shutil.which("docker")
        assert docker is not None
        ended = subprocess.run(  # noqa: S603 - the path comes from which()
            [docker, *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
        return Answered(ended.returncode, ended.stdout, ended.stderr)


@contextmanager
def composed_system() -> Iterator[ComposedSystem]:
    """Build the image, start everything, and throw it all away at the end.

    Skips where no Docker engine answers.
    """
    if not has_docker():
        pytest.skip(
            "needs a Docker engine: install Docker with Compose 2.24.4 or later, or on "
            'Debian 12, as root: eval "$(deploy/docker-engine start)"'
        )
    edge_port, edge_2_port, broker_port = free_ports("127.0.0.1", 3)
    variables = os.environ.items()  # noqa: TID251 - docker needs PATH and HOME
    inherited = {k: v for k, v in variables if not k.startswith("STACKS_FEED_")}
    environment = inherited | {
        "EDGE_PORT": f"{edge_port}",
        "EDGE_2_PORT": f"{edge_2_port}",
        "BROKER_PORT": f"{broker_port}",
    }
    project = f"stacks-feed-{uuid4().hex[:8]}"
    system = ComposedSystem(project, environment, edge_port, edge_2_port)
    try:
        started = system.compose("up", "--detach", "--wait", limit_s=_UP_S)
        if started.code:
            logs = system.compose("logs", "--tail", "20")
            raise AssertionError(f"{started.err[-2_000:]}\n{logs.out}")
        yield system
    finally:
        system.compose("down", "--volumes", "--timeout", "5")
