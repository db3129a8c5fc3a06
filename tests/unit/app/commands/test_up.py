"""What `up` plans and says before anything runs."""

import re
import shlex
import socket
from pathlib import Path
from typing import Any

import pytest

from app import configs, settings
from app.commands import up
from app.errors import OperatorError
from app.ports import free_port
from app.topics import Applied
from eventlog.port import LogError
from schemas.log import LogIdentity
from simulator.core.genesis import holdings
from simulator.core.world import build


def a_plan(**given: Any) -> up.Plan:
    given = {"port": free_port("127.0.0.1"), **given}
    return up.make_plan(settings.read(given, env_file=None))


def an_applied(plan: up.Plan, *created: str) -> Applied:
    identity = LogIdentity(
        id="a" * 32,
        network=plan.settings.network,
        world=plan.settings.world,
        partitions=2,
        created_at=1,
    )
    return Applied(identity, created, ())


def names(plan: up.Plan) -> list[str]:
    return [child.name for child in up.children(plan)]


def test_development_runs_the_simulator_on_a_port_of_its_own() -> None:
    plan = a_plan()
    assert names(plan) == ["simulator", "ingest", "processor", "edge", "audit"]
    simulator, ingest, *_ = up.children(plan)
    port = str(plan.simulator_port)
    assert simulator.environment["STACKS_FEED_SIMULATOR_PORT"] == port
    assert ingest.environment["STACKS_FEED_SIMULATOR_URL"].endswith(port)


@pytest.mark.parametrize(
    "given",
    [{"live": True}, {"environment": "production"}, {"simulator_url": "http://s:1"}],
    ids=["live", "production", "a simulator elsewhere"],
)
def test_the_simulator_runs_only_where_it_is_read(given: dict[str, Any]) -> None:
    assert names(a_plan(**given)) == ["ingest", "processor", "edge", "audit"]


def test_children_are_told_the_log_and_the_port() -> None:
    plan = a_plan(log="x.sqlite", live=True)
    for child in up.children(plan):
        assert child.environment["STACKS_FEED_LOG"] == "x.sqlite"
        assert child.environment["STACKS_FEED_LIVE"] == "true"
        assert child.environment["STACKS_FEED_PORT"] == str(plan.edge_port)


def test_the_page_offers_an_account_of_the_simulated_world() -> None:
    def offered(**settings: Any) -> set[str | None]:
        found = up.children(a_plan(**settings))
        name = "STACKS_FEED_EXAMPLE_ACCOUNT"
        return {child.environment.get(name) for child in found}

    (account,) = offered()
    plan = a_plan()
    assert account is not None
    assert account in up.banner(plan, an_applied(plan))
    assert offered(example_account="SP1") == {"SP1"}
    assert offered(live=True) == {None}


def test_the_audit_may_be_left_out_and_may_give_up() -> None:
    assert "audit" not in names(a_plan(audit_watch=False))
    *services, audit = up.children(a_plan())
    assert audit.command[-3:] == ("audit", "watch", "--with-parent")
    assert audit.gives_up == 1
    assert {service.gives_up for service in services} == {None}


def test_port_0_is_a_free_port_known_before_the_edge_runs() -> None:
    assert a_plan(port=0).edge_port > 0


def test_two_processes_do_not_share_a_metrics_port() -> None:
    ports = {
        child.name: child.environment["STACKS_FEED_METRICS_PORT"]
        for child in up.children(a_plan(metrics_port=9_000))
    }
    assert ports == {
        "simulator": "0",
        "ingest": "9000",
        "processor": "9001",
        "edge": "0",
        "audit": "9002",
    }


def test_the_metrics_of_every_process_can_be_reached_without_any_setting() -> None:
    plan = a_plan(audit_watch=False)
    ports = {
        child.name: child.environment["STACKS_FEED_METRICS_PORT"]
        for child in up.children(plan)
    }
    said = up.banner(plan, an_applied(plan))
    assert f"edge http://{plan.edge}/metrics" in said
    for name in ("ingest", "processor"):
        assert f"{name} http://127.0.0.1:{ports[name]}/metrics" in said
    assert len({ports["ingest"], ports["processor"], "0"}) == 3
    assert "audit http" not in said


def test_a_taken_port_is_refused_before_anything_starts() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OperatorError, match="--port or STACKS_FEED_PORT"),
    ):
        a_plan(port=taken.getsockname()[1])


def test_the_first_lines_say_what_runs_where_against_what_and_what_to_try() -> None:
    plan = a_plan()
    said = up.banner(plan, an_applied(plan, "latest"))
    assert "development, simulated world on mainnet" in said
    assert "data/stacks-feed.sqlite (created, 2 partitions" in said
    assert f"the simulator at {plan.simulator_url}" in said
    assert f"curl 'http://127.0.0.1:{plan.edge_port}/parties/prices/main" in said
    assert f"ws://127.0.0.1:{plan.edge_port}/parties/balances/main" in said
    assert f"{up.tool('stacks-feed')} tail price\n" in said


def test_programs_to_try_are_named_as_a_shell_finds_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "bin" / "python"))
    assert up.tool("stacks-feed") == "bin/stacks-feed"
    monkeypatch.setattr("sys.executable", "/elsewhere/bin/python")
    assert up.tool("stacks-feed") == "/elsewhere/bin/stacks-feed"
    (tmp_path / "python").touch(mode=0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert up.tool("python") == "python"


def test_another_log_is_named_in_the_commands_to_try() -> None:
    plan = a_plan(log="x.sqlite", live=True, host="0.0.0.0")
    said = up.banner(plan, an_applied(plan))
    assert "stacks-feed tail price --log x.sqlite" in said
    assert "x.sqlite (found" in said
    assert "the real upstreams" in said
    assert "http://127.0.0.1:" in said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "of any origin may read it"),
        ({"live": True}, "of any origin may read it"),
        ({"environment": "production"}, "of its own host may read it"),
        (
            {
                "origins": ("https://a.example",),
                "origins_with_credentials": ("https://b.example",),
            },
            "of its own host and of https://a.example, https://b.example may read it",
        ),
    ],
)
def test_the_banner_says_whose_pages_may_use_the_edge(
    settings: dict[str, Any], said: str
) -> None:
    plan = a_plan(**settings)
    assert f"  origins    pages {said}, over HTTP and WebSocket\n" in up.banner(
        plan, an_applied(plan)
    )


def test_the_edge_gets_the_time_that_its_farewell_takes() -> None:
    limits = {c.name: c.stop_limit_s for c in up.children(a_plan(drain_s=20.0))}
    assert limits.pop("edge") == 24.0
    assert set(limits.values()) == {None}


def test_an_ipv6_host_has_its_brackets_wherever_it_is_printed() -> None:
    plan = a_plan(host="::1", port=0, simulator_host="::1", metrics_host="::1")
    text = up.banner(plan, an_applied(plan))
    assert f"ws://[::1]:{plan.edge_port}/" in text
    assert f"curl 'http://[::1]:{plan.edge_port}/" in text
    assert f"http://[::1]:{plan.simulator_port}" in text
    assert "//::1" not in text


def test_each_command_of_the_banner_shows_something_without_more_being_typed() -> None:
    plan = a_plan()
    tried = up.banner(plan, an_applied(plan)).partition("Try:\n")[2].splitlines()[:-1]
    programs = [shlex.split(line, comments=True) for line in tried]
    assert [Path(each[0]).name for each in programs] == ["curl"] * 3 + ["stacks-feed"]
    # A WebSocket says nothing of changes before a SUBSCRIBE; a stream of events does.
    (stream,) = [each for each in programs if "-N" in each]
    assert stream[2:4] == ["-H", "Accept: text/event-stream"]
    assert stream[4] == f"http://{plan.edge}/prices"


def test_the_banner_names_the_page_and_an_account_that_holds_something() -> None:
    plan = a_plan()
    text = up.banner(plan, an_applied(plan))
    assert f"http://{plan.edge}/\n" in text
    config = configs.simulator_config(plan.settings)
    world = build(
        config.seed,
        network=config.network,
        tokens=config.tokens,
        subnets=config.subnets,
        accounts=config.accounts,
    )
    (account,) = re.findall(r"balances\?users=(\w+)'", text)
    held = holdings(world, world.accounts.index(account))
    assert len([key for key, it in held.items() if it.balance]) > 3
    assert any(
        held[token.contract_id].balance
        for token in world.subnets
        if token.contract_id in held
    )


def test_without_a_simulator_the_banner_leaves_the_account_to_the_reader() -> None:
    plan = a_plan(live=True)
    assert "users=SP…" in up.banner(plan, an_applied(plan))


async def test_what_is_wrong_with_the_log_is_told_before_a_taken_port() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        given = {
            "port": port,
            "log": "kafka://127.0.0.1:9",
            "environment": "development",
        }
        with pytest.raises(LogError):
            await up._up(settings.read(given, env_file=None))
        certificate = {"port": port, "tls_certificate": "/nowhere/cert.pem"}
        with pytest.raises(OSError, match="No such file"):
            await up._up(settings.read(certificate, env_file=None))
        with pytest.raises(OperatorError, match="STACKS_FEED_PORT=2000 make up"):
            await up._up(settings.read({"port": port}, env_file=None))
