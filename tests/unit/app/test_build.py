"""Which build runs: said by an image, by a checkout, or by nobody."""

import subprocess
from pathlib import Path

from app import build
from tests.support.shared_data import ROOT


def _git(folder: Path, *said: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own words
        ("git", *said),  # noqa: S607 - it is on the path
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_an_image_says_its_commit_in_a_file(tmp_path: Path) -> None:
    (tmp_path / build.COMMIT_FILE).write_text("0123abc\n", encoding="utf-8")
    assert build.commit(tmp_path) == "0123abc"


def test_a_checkout_knows_its_commit(tmp_path: Path) -> None:
    package = tmp_path / "app"
    package.mkdir()
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    _git(tmp_path, "init", "-q")
    _git(tmp_path, *who, "commit", "-q", "--allow-empty", "-m", "x")
    assert build.commit(package) == _git(tmp_path, "rev-parse", "HEAD")


def test_where_nothing_says_so_the_commit_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "site-packages" / "app").mkdir(parents=True)
    assert build.commit(tmp_path / "site-packages" / "app") == build.UNKNOWN


def test_the_version_is_that_of_the_project() -> None:
    said = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{build.version()}"' in said
