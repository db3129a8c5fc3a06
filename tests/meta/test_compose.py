"""The compose files fit the specification, the command line, the settings, each other."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from app.cli import make_parser
from app.configs import drain_s, kafka_config, place_of, urls
from app.places import Broker
from app.settings import PREFIX, Settings, read, variable
from runtime.supervisor import STOP_DEADLINE_S
from tests.support import broker
from tests.support.compose_file import Services, services
from tests.support.shared_data import ROOT

HERE = ("docker-compose.yml",)
PRODUCTION = (*HERE, "deploy/production.yml")
ELSEWHERE = {"STACKS_FEED_LOG": "kafka://broker-1:9093,broker-2:9093"}
DEPLOYED = {"here": services(*HERE)}
DEPLOYED["production"] = services(*PRODUCTION, variables=ELSEWHERE)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
OURS = f"stacks-feed:{PROJECT['project']['version']}"
EXTERNAL_PORT = 19_092

each = pytest.mark.parametrize("deployed", DEPLOYED.values(), ids=DEPLOYED)


def ours(deployed: Services) -> Services:
    return {name: s for name, s in deployed.items() if s["image"] == OURS}


def environment_of(service: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = service["environment"]
    return found


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of this machine reaches a test."""
    for name in list(os.environ):  # noqa: TID251 - it is what the test clears
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


def settings_of(service: Mapping[str, Any]) -> Settings:
    """Return the settings that a container of this service reads."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environment_of(service).items():
            patched.setenv(name, value)
        return read(env_file=None)


@pytest.mark.parametrize("name", PRODUCTION)
def test_it_fits_the_compose_specification(tmp_path: Path, name: str) -> None:
    # The tag is of the merge, which comes before the schema.
    text = (ROOT / name).read_text(encoding="utf-8").replace("!override", "")
    copy = tmp_path / "compose.yml"
    copy.write_text(text, encoding="utf-8")
    command = ["check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run(  # noqa: S603 - our own files
        [sys.executable, "-m", *command, copy],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


@each
def test_each_command_is_one_of_ours_and_each_setting_is_valid(
    deployed: Services,
) -> None:
    for name, service in ours(deployed).items():
        arguments = make_parser().parse_args(service["command"])
        assert arguments.command == name.removesuffix("-2")
        settings_of(service)


@each
def test_every_service_has_a_health_check_on_a_port_where_it_listens(
    deployed: Services,
) -> None:
    for name, service in ours(deployed).items():
        if service["restart"] == "no":
            continue
        settings, url = settings_of(service), health_url(service)
        listens = {
            "edge": (settings.host, settings.port),
            "simulator": (settings.simulator_host, settings.simulator_port),
        }.get(
            name.removesuffix("-2"),
            (settings.metrics_host, settings.metrics_port),
        )
        assert (url.hostname, url.port) == ("127.0.0.1", listens[1])
        assert listens[0] == "0.0.0.0"


def health_url(service: Mapping[str, Any]) -> Any:
    """Return what the check asks; the command must be one that the image has."""
    match service["healthcheck"]["test"]:
        case ["CMD", "stacks-feed", *arguments]:
            return urlsplit(make_parser().parse_args(arguments).url)
        case ["CMD", "python", "-c", code]:
            compile(code, "healthcheck", "exec")
            found = re.search(r"http://[^\"]+", code)
            assert found
            return urlsplit(found[0])
        case unknown:
            raise AssertionError(unknown)


@each
def test_what_is_published_is_the_port_of_an_edge(deployed: Services) -> None:
    for name, service in ours(deployed).items():
        published = [port.split(":") for port in service.get("ports", ())]
        assert bool(published) is name.startswith("edge")
        for address, _, inside in published:
            assert address == "127.0.0.1"
            assert int(inside) == settings_of(service).port
    ports = [port for s in ours(deployed).values() for port in s.get("ports", ())]
    assert len(set(ports)) == len(ports) == 2


def test_ports_of_this_machine_are_settings() -> None:
    ports = {"EDGE_PORT": "3001", "EDGE_2_PORT": "3002", "BROKER_PORT": "3003"}
    deployed = services(*HERE, variables=ports)
    assert deployed["edge"]["ports"] == ["127.0.0.1:3001:1999"]
    assert deployed["edge-2"]["ports"] == ["127.0.0.1:3002:1999"]
    assert deployed["redpanda"]["ports"] == ["127.0.0.1:3003:19092"]
    assert "external://localhost:3003" in advertised(deployed["redpanda"])


@each
def test_commands_can_write_in_every_container(deployed: Services) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (folder,) = re.findall(r"^WORKDIR (/var/\S+)$", dockerfile, re.MULTILINE)
    for service in ours(deployed).values():
        assert f"work:{folder}" in service["volumes"]


@each
def test_dependencies_form_no_cycle_and_wait_for_what_can_happen(
    deployed: Services,
) -> None:
    after = {name: s.get("depends_on") or {} for name, s in deployed.items()}
    TopologicalSorter(after).prepare()  # raises for a cycle
    for name, before in after.items():
        for needed, how in before.items():
            other = deployed[needed]
            if how["condition"] == "service_healthy":
                assert "healthcheck" in other
            else:
                assert other["restart"] == "no"
            assert not other.get("profiles"), f"{name} waits for what does not run"


@each
def test_several_processors_and_edges_run(deployed: Services) -> None:
    counts = {n: s.get("deploy", {}).get("replicas", 1) for n, s in deployed.items()}
    assert counts["processor"] == 2
    assert {"edge", "edge-2"} <= counts.keys()


@each
def test_containers_are_held_short(deployed: Services) -> None:
    for name, service in deployed.items():
        assert service["mem_limit"]
        grace_s = float(service["stop_grace_period"].removesuffix("s"))
        farewell_s = drain_s(settings_of(service)) if name.startswith("edge") else 0.0
        assert grace_s > farewell_s + STOP_DEADLINE_S
    for service in ours(deployed).values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


@each
def test_no_secret_stands_in_the_files(deployed: Services) -> None:
    secrets = {
        variable(name)
        for name, field in Settings.model_fields.items()
        if SecretStr.__name__ in f"{field.annotation}"
    }
    assert secrets
    for service in ours(deployed).values():
        assert not secrets & environment_of(service).keys()
        assert {"path": ".env", "required": False} in service["env_file"]


def test_here_the_broker_and_the_simulator_are_those_of_the_file() -> None:
    redpanda = DEPLOYED["here"]["redpanda"]
    settings = settings_of(DEPLOYED["here"]["ingest"])
    place = place_of(settings)
    assert isinstance(place, Broker)
    assert f"internal://{place.bootstrap}" in advertised(redpanda)
    simulator = DEPLOYED["here"]["simulator"]
    port = settings_of(simulator).simulator_port
    assert urls(settings).hiro == f"http://simulator:{port}/hiro"


def advertised(redpanda: Mapping[str, Any]) -> list[str]:
    flag = "--advertise-kafka-addr="
    (said,) = [f for f in redpanda["command"] if f.startswith(flag)]
    return str(said).removeprefix(flag).split(",")


def test_tests_run_against_the_same_broker() -> None:
    redpanda = DEPLOYED["here"]["redpanda"]
    assert redpanda["image"] == broker.redpanda_image()
    assert f"external://localhost:{EXTERNAL_PORT}" in advertised(redpanda)
    assert redpanda["ports"] == [f"127.0.0.1:{EXTERNAL_PORT}:{EXTERNAL_PORT}"]
    script = (ROOT / "deploy" / "with-broker").read_text(encoding="utf-8")
    assert f"KAFKA_BOOTSTRAP=localhost:${{BROKER_PORT:-{EXTERNAL_PORT}}}" in script
    assert "dev-container" not in redpanda["command"]


def test_production_reads_the_real_upstreams_through_a_broker_elsewhere() -> None:
    settings = settings_of(DEPLOYED["production"]["ingest"])
    place = place_of(settings)
    assert isinstance(place, Broker)
    assert f"kafka://{place.bootstrap}" == ELSEWHERE["STACKS_FEED_LOG"]
    assert urls(settings).hiro == "https://api.hiro.so"
    assert kafka_config(settings, place).replication == 3
    off = {n for n, s in DEPLOYED["production"].items() if s.get("profiles")}
    assert off == {"redpanda", "simulator"}


def test_production_without_a_broker_is_refused() -> None:
    with pytest.raises(KeyError, match="STACKS_FEED_LOG"):
        services(*PRODUCTION)


@each
def test_one_service_builds_the_image_and_all_run_it(deployed: Services) -> None:
    building = [name for name, s in deployed.items() if "build" in s]
    assert building == ["topics"]
    policies = {n: s["pull_policy"] for n, s in ours(deployed).items()}
    assert policies.pop("topics") == "build"
    assert set(policies.values()) == {"never"}
    assert deployed.keys() - ours(deployed).keys() == {"redpanda"}


def test_the_image_is_built_from_all_that_the_distribution_holds() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    project = PROJECT["project"]
    documents = {project["readme"], *project["license-files"], "pyproject.toml"}
    needed = {*wheel["packages"], *documents}
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert let_in == {*needed, "requirements.txt", "requirements-build.txt"}


def test_the_image_has_a_python_that_the_project_supports() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    pattern = (
        r"^ARG PYTHON_IMAGE=python:(3\.\d+)\.\d+-slim-\w+(?:@sha256:[0-9a-f]{64})?$"
    )
    found = re.search(pattern, text, re.MULTILINE)
    assert found
    assert found[1] == PROJECT["project"]["requires-python"].removeprefix(">=")
