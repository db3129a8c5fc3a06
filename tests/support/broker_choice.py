"""Which broker the tests use, and what follows from that for their child processes."""

import functools
import os
import shutil
import subprocess


def has_docker() -> bool:
    """Tell whether a Docker engine answers here."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    asked = subprocess.run(  # noqa: S603 - the path comes from which()
        [docker, "info"], capture_output=True, timeout=10, check=False
    )
    return asked.returncode == 0


def has_maven() -> bool:
    """Tell whether Apache Kafka can be had from Maven here."""
    return bool(shutil.which("java") and shutil.which("mvn"))


@functools.cache
def least_session_ms() -> int:
    """Return the shortest session that the broker of the tests grants a member.

    Ours from Maven is told to grant short ones; any other has its defaults.
    """
    is_ours = not given_address() and not has_docker()
    return 1_000 if is_ours else 6_000


def given_address() -> str | None:
    """Return the address of a broker that the test run was told to use."""
    return os.environ.get("KAFKA_BOOTSTRAP")  # noqa: TID251 - the test run has no settings
