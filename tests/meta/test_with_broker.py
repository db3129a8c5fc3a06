"""The script before tests on a broker: which broker it takes, what it says without one."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.shared_data import ROOT

SCRIPT = ROOT / "deploy" / "with-broker"
SAY_BROKER = ["sh", "-c", 'echo "ran with ${KAFKA_BOOTSTRAP:-none}"']
# What each program does when the script calls it; the calls are kept.
ENGINE = 'echo "docker $*" >> "$CALLS"'
NO_ENGINE = "exit 1"
NO_COMPOSE = 'test "$1" = info'
UNHEALTHY = 'case "$*" in *" up "*) exit 1;; *" logs "*) echo "said last";; esac'
NOTHING = "true"


class Machine:
    """A machine with a few programs."""

    def __init__(self, folder: Path, programs: dict[str, str]) -> None:
        self._folder, self._calls = folder, folder / "calls"
        self._calls.touch()
        for name in ("sh", "dirname", "echo"):
            path = shutil.which(name)
            assert path
            (folder / name).symlink_to(path)
        for name, code in programs.items():
            program = folder / name
            program.write_text(f"#!/bin/sh\n{code}\n")
            program.chmod(0o755)

    def run(self, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{self._folder}", "CALLS": f"{self._calls}"}
        return subprocess.run(  # noqa: S603 - our own script
            [SCRIPT, *options, *SAY_BROKER],
            env=environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines()


def test_a_broker_that_is_named_is_taken(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"docker": ENGINE})
    ended = machine.run(KAFKA_BOOTSTRAP="b:1")
    assert (ended.returncode, ended.stdout) == (0, "ran with b:1\n")
    assert machine.calls == []


@pytest.mark.parametrize(
    ("options", "services"), [((), " redpanda"), (("--system",), "")]
)
def test_with_docker_containers_are_started_and_awaited(
    tmp_path: Path, options: tuple[str, ...], services: str
) -> None:
    machine = Machine(tmp_path, {"docker": ENGINE})
    ended = machine.run(*options)
    assert (ended.returncode, ended.stdout) == (0, "ran with localhost:19092\n")
    started = f"docker compose --file docker-compose.yml up --detach --wait{services}"
    assert machine.calls[-1] == started


def test_without_docker_the_tests_take_kafka_from_maven(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"docker": NO_ENGINE, "java": NOTHING, "mvn": NOTHING})
    ended = machine.run("--system")
    assert (ended.returncode, ended.stdout) == (0, "ran with none\n")
    assert "no Docker engine answers" in ended.stderr


@pytest.mark.parametrize(
    ("programs", "said"),
    [
        pytest.param({}, "there is no broker: start Docker", id="nothing"),
        pytest.param({"docker": NO_ENGINE, "java": NOTHING}, "Maven", id="half"),
        pytest.param({"docker": NO_COMPOSE}, "Docker has no Compose", id="no compose"),
        pytest.param({"docker": UNHEALTHY}, "did not become healthy", id="unhealthy"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_run(
    tmp_path: Path, programs: dict[str, str], said: str
) -> None:
    ended = Machine(tmp_path, programs).run()
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "ran with" not in ended.stdout
