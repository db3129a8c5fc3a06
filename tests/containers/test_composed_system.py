"""docker-compose.yml on a real engine: healthy, every command works, faults lose nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from stacks_feed_client import Options, Price, connect
from stacks_feed_client.core.values import Update
from tests.support.compose import ComposedSystem, composed_system
from tests.support.processes import happens

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_500)]

# How long a fault lasts, and how long the system may take to go on after it: a member of
# a group is missed after its session of 10 s.
FAULT_S = 8
AFTER_S = 120
SERVICES = (
    "redpanda-1",
    "processor-1",
    "processor-2",
    "ingest-1",
    "edge-1",
    "edge-2-1",
)


@pytest.fixture(scope="module")
def system() -> Iterator[ComposedSystem]:
    with composed_system() as running:
        yield running


@dataclass
class Follower:
    """Follows all prices over both edges and notices every step back."""

    versions: dict[str, int] = field(default_factory=dict)
    prices: dict[str, Price] = field(default_factory=dict)
    steps_back: list[tuple[str, int, int]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, update: Update[str, Price]) -> None:
        if update.value is None:
            return
        version, before = update.value.version or 0, self.versions.get(update.key, 0)
        if version < before:
            self.steps_back.append((update.key, before, version))
        self.versions[update.key] = version
        self.prices[update.key] = update.value
        self.changed.set()

    async def news(self, *, limit_s: float = AFTER_S) -> None:
        """Wait until another price has arrived."""
        self.changed.clear()
        async with asyncio.timeout(limit_s):
            await self.changed.wait()


@asynccontextmanager
async def following(system: ComposedSystem) -> AsyncIterator[Follower]:
    follower = Follower()
    urls = [f"ws://{edge}" for edge in system.edges]
    async with connect(*urls, options=Options()) as feed, asyncio.TaskGroup() as group:

        async def follow() -> None:
            async for update in feed.subscribe():
                follower.take(update)

        task = group.create_task(follow(), name="follow")
        await follower.news()
        yield follower
        task.cancel()


async def prices_of(edge: str) -> dict[str, float]:
    async with httpx.AsyncClient(trust_env=False) as http:
        body = (await http.get(f"http://{edge}/prices")).json()
    # Clients of the base protocol know STX as `stx`.
    ids = {"stx": ".stx"}
    return {
        ids.get(price["contractId"], price["contractId"]): price["price"]
        for price in body["prices"]
    }


def test_every_container_is_healthy_or_has_done_its_work(
    system: ComposedSystem,
) -> None:
    states = system.containers()
    topics = states.pop("topics-1")
    assert (topics["State"], topics["ExitCode"]) == ("exited", 0)
    assert {name: state["Health"] for name, state in states.items()} == dict.fromkeys(
        states, "healthy"
    )
    assert {*SERVICES, "audit-1", "simulator-1"} == states.keys()


async def test_both_edges_serve_the_same_prices(system: ComposedSystem) -> None:
    async with asyncio.timeout(AFTER_S), following(system):
        one, two = [await prices_of(edge) for edge in system.edges]
    assert one
    assert one.keys() == two.keys()


@pytest.mark.parametrize(
    "command",
    [
        "audit explain price:.stx",
        "audit explain price:.stx --json",
        "audit verify",
        "topics show",
        "settings",
        "health http://127.0.0.1:9464",
    ],
)
def test_commands_of_the_documentation_work_in_a_container(
    system: ComposedSystem, command: str
) -> None:
    answered = system.command("audit", *command.split())
    assert answered.code == 0, answered
    assert answered.out


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_history_can_be_exported_and_read_back_in_a_container(
    system: ComposedSystem, suffix: str
) -> None:
    folder = f"export-{suffix}"
    days = ("2020-01-01", "2100-01-01")
    options = ("--what", "observations", "--format", suffix, "--out", folder)
    exported = system.command("audit", "audit", "export", *options, *days)
    assert exported.code == 0, exported
    found = system.compose(
        "exec", "-T", "audit", "find", folder, "-name", f"*.{suffix}"
    )
    assert found.out.strip(), "today is not over, but what is there is exported"


def cut_off(system: ComposedSystem, name: str) -> None:
    system.docker(
        "network", "disconnect", f"{system.project}_default", system.container(name)
    )


def connect_again(system: ComposedSystem, name: str) -> None:
    service = name.rpartition("-")[0]
    network, container = f"{system.project}_default", system.container(name)
    system.docker("network", "connect", "--alias", service, network, container)


async def test_whatever_is_killed_paused_or_cut_off_clients_see_no_step_back(
    system: ComposedSystem,
) -> None:
    run = asyncio.to_thread
    async with following(system) as follower:
        for name in SERVICES:
            container = system.container(name)
            await run(system.docker, "kill", "--signal", "KILL", container)
            await run(system.docker, "start", container)
            await follower.news()
            await run(system.docker, "pause", container)
            await asyncio.sleep(FAULT_S)
            await run(system.docker, "unpause", container)
            await follower.news()
            await run(cut_off, system, name)
            await asyncio.sleep(FAULT_S)
            await run(connect_again, system, name)
            await follower.news()
        await run(system.compose, "stop", "ingest")
        await until_equal(system, follower)
    assert follower.steps_back == []
    verified = await run(system.command, "audit", "audit", "verify")
    assert verified.code == 0, verified


async def until_equal(system: ComposedSystem, follower: Follower) -> None:
    """Wait until both edges and the follower have the same prices: all was processed."""

    async def are_equal() -> bool:
        return not await differences(system, follower)

    await happens(are_equal, AFTER_S, "edge, edge-2 and client agree", every_s=0.2)


async def differences(
    system: ComposedSystem, follower: Follower
) -> dict[str, tuple[float | None, ...]]:
    """Return the tokens whose prices differ, with what each edge and the client says."""
    one, two = [await prices_of(edge) for edge in system.edges]
    seen = {key: float(price.price) for key, price in follower.prices.items()}
    said = {
        key: (one.get(key), two.get(key), seen.get(key))
        for key in one.keys() | two.keys()
    }
    return {key: prices for key, prices in said.items() if len(set(prices)) > 1}
