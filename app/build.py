"""Which build of the product this is: its version, and the commit it was made from."""

import json
import shutil
import subprocess
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

UNKNOWN = "unknown"
_NAME = "stacks-feed"
_PACKAGE = Path(__file__).parent
# Written by whoever builds an image: what is copied into it has no history.
COMMIT_FILE = "COMMIT"


def version() -> str:
    """Return the version of what is installed."""
    installed = _installed()
    return installed.version if installed else UNKNOWN


def commit(package: Path = _PACKAGE) -> str:
    """Return the commit that the code was made from, ``unknown`` where nothing says so.

    An image names it in a file, pip notes it when it installs from a repository, and a
    checkout knows it itself.
    """
    named = package / COMMIT_FILE
    if named.is_file():
        return named.read_text(encoding="utf-8").strip() or UNKNOWN
    return _noted_by_pip() or _of_checkout(package.parent) or UNKNOWN


def _installed() -> Distribution | None:
    try:
        return distribution(_NAME)
    except PackageNotFoundError:
        return None


def _noted_by_pip() -> str | None:
    """Return the commit in ``direct_url.json`` (PEP 610)."""
    installed = _installed()
    noted = installed.read_text("direct_url.json") if installed else None
    found = json.loads(noted).get("vcs_info", {}).get("commit_id") if noted else None
    return found if isinstance(found, str) else None


def _of_checkout(root: Path) -> str | None:
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return None
    asked = subprocess.run(  # noqa: S603 - a program found on the path, no input of anybody
        [git, "-C", str(root), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() or None
