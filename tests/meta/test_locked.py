"""What is installed is locked: each version by its hashes, and each image by a digest."""

import json
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.support.shared_data import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: Mapping[str, list[str]] = PROJECT["project"]["optional-dependencies"]
RUNTIME = [*PROJECT["project"]["dependencies"], *EXTRAS["parquet"]]
BUILD = PROJECT["dependency-groups"]["build"]
LOCKS = {
    "constraints.txt": [*RUNTIME, *EXTRAS["dev"], *BUILD],
    "requirements.txt": RUNTIME,
    "requirements-build.txt": [*BUILD, *PROJECT["build-system"]["requires"]],
}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PINNED = re.compile(
    r"^([A-Za-z0-9][\w.-]*)==(\S+)[^\\\n]*((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$",
    re.MULTILINE,
)

each_lock = pytest.mark.parametrize("name", LOCKS)


def pins(name: str) -> list[tuple[str, str, str]]:
    """Return name, version and hashes of each line of a file, which must be all it has."""
    text = (ROOT / name).read_text(encoding="utf-8")
    left = PINNED.sub("", text)
    rest = [line for line in left.splitlines() if line and not line.startswith("#")]
    assert rest == [], f"{name} has lines that are not pinned by hashes"
    return PINNED.findall(text)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@each_lock
def test_every_requirement_of_the_project_is_locked_with_hashes(name: str) -> None:
    """If not: run `make lock`."""
    versions = {_normal(pin): version for pin, version, _ in pins(name)}
    for text in LOCKS[name]:
        requirement = Requirement(text)
        version = versions.get(_normal(requirement.name))
        assert version is not None, f"{name} lacks {requirement.name}: run `make lock`"
        assert requirement.specifier.contains(version), f"{name}: {text}"


def test_the_image_has_the_files_that_are_tested() -> None:
    tested = set(pins("constraints.txt"))
    for name in ("requirements.txt", "requirements-build.txt"):
        assert set(pins(name)) <= tested


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS)
def test_each_python_finds_a_wheel_that_is_locked(python: str, tmp_path: Path) -> None:
    if find_spec("uv") is None:
        pytest.skip("needs uv, which `make .venv/ready` installs")
    options = ("--dry-run", "--require-hashes", "--only-binary", ":all:")
    where = ("--python-version", python, "--target", f"{tmp_path}")
    install = ("uv", "pip", "install", *options, *where, "-r", "constraints.txt")
    ended = run(sys.executable, "-m", *install)
    if "error sending request" in ended.stderr:
        pytest.skip("needs an index of packages")
    assert ended.returncode == 0, ended.stderr
    assert len(re.findall(r"(?m)^ \+ ", ended.stderr)) > 50


def run(
    *command: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own commands
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("uv", [False, True], ids=["pip", "uv"])
def test_make_lets_neither_pip_nor_uv_install_without_a_hash(
    tmp_path: Path, *, uv: bool
) -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("needs make: apt install make")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    if uv:
        (tmp_path / "uv").write_text("#!/bin/sh\n")
        (tmp_path / "uv").chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    ended = run(make, "--dry-run", ".venv/ready", cwd=tmp_path, env=env)
    installs = [line for line in ended.stdout.splitlines() if " install " in line]
    assert all(("uv pip" in line) is uv for line in installs)
    hashed, ours = installs
    assert "--require-hashes --requirement constraints.txt" in hashed
    # Ourselves alone, built by what was installed with its hash.
    assert ours.endswith("--no-deps --no-build-isolation --editable .")


def test_the_image_installs_nothing_without_a_hash() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    text = re.sub(r"(?m)^#.*$", "", text)
    commands = re.split(r"&&|\n", text)
    installs = [line for line in commands if re.search(r"\bpip\b.*\binstall\b", line)]
    installs = [line for line in installs if "uninstall" not in line]
    assert len(installs) == 3
    for line in installs:
        assert "--require-hashes" in line or "--no-index" in line
    (build,) = [line for line in commands if "pip wheel" in line]
    assert "--no-deps --no-build-isolation" in build


INDEX = b'{"schemaVersion":2,"manifests":[]}'
KIND = "application/vnd.oci.image.index.v1+json"


class Registry(BaseHTTPRequestHandler):
    """A registry that gives a token to anybody, and manifests for it."""

    def do_GET(self) -> None:
        if self.path.startswith("/token?"):
            self._answer(200, json.dumps({"token": "t"}).encode())
        elif self.headers["Authorization"] != "Bearer t":
            host = self.headers["Host"]
            asks = f'Bearer realm="http://{host}/token",service="r",scope="pull"'
            self._answer(401, b"", **{"WWW-Authenticate": asks})
        elif self.path in {"/v2/library/python/manifests/3", "/v2/a/b/manifests/v1"}:
            self._answer(200, INDEX, **{"Content-Type": KIND})
        else:
            self._answer(404, b"")

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": f"{len(body)}"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def registry() -> Iterator[str]:
    """Run a registry; yield its host and port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def images(folder: Path, python: str, redpanda: str) -> Iterator[Path]:
    """A project with these two images; yield its script."""
    (folder / "deploy").mkdir()
    (folder / "Dockerfile").write_text(f"# base\nARG PYTHON_IMAGE={python}\nFROM x\n")
    (folder / "docker-compose.yml").write_text(
        f"services:\n  redpanda:\n    image: ${{REDPANDA_IMAGE:-{redpanda}}}\n"
    )
    script = shutil.copy(ROOT / "deploy" / "pin-images", folder / "deploy")
    yield Path(script)


def texts(folder: Path) -> tuple[str, str]:
    names = ("Dockerfile", "docker-compose.yml")
    one, two = ((folder / name).read_text(encoding="utf-8") for name in names)
    return one, two


def test_images_are_pinned_to_the_digests_that_their_tags_have_now(
    tmp_path: Path,
) -> None:
    digest = f"sha256:{sha256(INDEX).hexdigest()}"
    old = "sha256:" + 64 * "0"
    with (
        registry() as host,
        images(tmp_path, f"{host}/library/python:3@{old}", f"{host}/a/b:v1") as script,
    ):
        ended = run(sys.executable, f"{script}", cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
        dockerfile, compose = texts(tmp_path)
        assert f"\nARG PYTHON_IMAGE={host}/library/python:3@{digest}\n" in dockerfile
        assert f"${{REDPANDA_IMAGE:-{host}/a/b:v1@{digest}}}\n" in compose
        again = run(sys.executable, f"{script}", cwd=tmp_path)
        assert again.stdout.count("(as before)") == 2
        assert texts(tmp_path) == (dockerfile, compose)


def test_without_one_of_the_digests_nothing_is_pinned(tmp_path: Path) -> None:
    with (
        registry() as host,
        images(tmp_path, f"{host}/library/python:3", f"{host}/a/b:v2") as script,
    ):
        before = texts(tmp_path)
        ended = run(sys.executable, f"{script}", cwd=tmp_path)
        assert ended.returncode == 1
        assert f"{host}/a/b:v2: " in ended.stderr
        assert "404" in ended.stderr
        assert "nothing was changed" in ended.stderr
        assert texts(tmp_path) == before


def test_the_files_of_the_project_name_the_images_where_they_are_looked_for() -> None:
    dockerfile, compose = texts(ROOT)
    assert re.search(r"(?m)^ARG PYTHON_IMAGE=python:\S+$", dockerfile)
    assert compose.count("REDPANDA_IMAGE:-") == 1
    named = re.findall(r"(?m)^ +image: (\S+)", compose)
    assert {name for name in named if not name.startswith("*")} == {
        f"${{REDPANDA_IMAGE:-{re.findall(r'REDPANDA_IMAGE:-([^}]+)', compose)[0]}}}"
    }
