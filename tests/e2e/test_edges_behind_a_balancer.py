"""Edges as processes behind a balancer: one is killed again and again, nobody notices."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.balancer import Balancer, balancing
from tests.support.deployment import Deployment, deployment
from tests.support.feeding import Publisher, a_token, eager
from tests.support.programs import (
    Program,
    a_log_for_processes,
    check_against_log,
    programs_at,
    round_heard,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PROGRAMS = 6


@dataclass
class Scene:
    """Edges behind a balancer, and who hears what is published."""

    deployed: Deployment
    balancer: Balancer
    publisher: Publisher
    tokens: list[str]
    programs: list[Program]

    async def rounds(self, count: int = 1) -> None:
        for _ in range(count):
            await round_heard(self.publisher, self.tokens, self.programs)

    async def kill(self, which: int) -> None:
        """Kill an edge in the middle of a round, wherever that finds it."""
        edge = self.deployed.instances[which]
        async with asyncio.TaskGroup() as group:
            group.create_task(self.rounds(), name="round")
            group.create_task(edge.killed(), name="kill")

    async def replace(self, which: int) -> None:
        """Start an edge in the place of one, while values change."""
        edge = await self.deployed.start("edge")
        self.deployed.instances.remove(edge)
        self.deployed.instances[which] = edge
        self.balancer.ports[which] = edge.port
        await self.rounds()
        await edge.ready()


async def test_two_edges_one_killed_and_back_several_times_no_gap_and_no_repeat(
    tmp_path: Path,
) -> None:
    tokens: list[str] = [a_token("balanced") for _ in range(4)]
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(a_log_for_processes(tmp_path))
        deployed = await stack.enter_async_context(deployment(tmp_path))
        edges = [await deployed.start("edge") for _ in range(2)]
        for edge in edges:
            await edge.ready()
        ports = [edge.port for edge in edges]
        balancer = await stack.enter_async_context(balancing(*ports))
        url = f"ws://127.0.0.1:{balancer.port}"
        programs = await stack.enter_async_context(
            programs_at(url, tokens, count=PROGRAMS, options=eager())
        )
        scene = Scene(deployed, balancer, Publisher(log), tokens, programs)
        await scene.rounds()
        for which in (0, 1, 0):
            await scene.kill(which)
            await scene.rounds(3)
            await scene.replace(which)
            await scene.rounds(2)
        await check_against_log(programs, log)
        assert sum(each.feed.counts.connections for each in programs) > PROGRAMS
        assert all(edge.failures() == [] for edge in deployed.instances)
        assert set((await deployed.stopped()).values()) == {0}
