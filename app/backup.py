"""Copies a SQLite log while services use it."""

import os
from dataclasses import dataclass
from pathlib import Path

from app.configs import place_of, wanted_log
from app.errors import OperatorError
from app.places import File
from app.restore import folder_beside, identity_at
from app.settings import Settings
from app.topics import check_identity
from runtime.clock import Clock
from schemas.log import LogIdentity


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy that is whole: of which log it is, and how large."""

    identity: LogIdentity
    size_bytes: int


def back_up(settings: Settings, copy: Path, *, clock: Clock) -> Backup:
    """Write a copy of the log of ``settings`` as it is at one moment, and check it.

    Services go on writing meanwhile. The copy has its name only once it is whole. Raises
    ``OperatorError`` where something has that name already, or where there is no log, and
    ``LogError`` for a log that is damaged.
    """
    place = place_of(settings)
    if not isinstance(place, File):
        raise OperatorError(
            "only a log in a file is copied; a broker has its own tools"
        )
    identity = _identity(settings, place.path, clock)
    if not copy.parent.is_dir():
        raise OperatorError(f"there is no folder {copy.parent} to put the copy in")
    _refuse_existing(copy)
    with folder_beside(copy) as folder:
        new = folder / copy.name
        _write(place.path, new)
        _refuse_existing(copy)
        new.rename(copy)
    _sync(copy.parent)
    return Backup(identity, copy.stat().st_size)


def _identity(settings: Settings, path: Path, clock: Clock) -> LogIdentity:
    if not path.is_file():
        raise OperatorError(f"there is no log at {path}")
    identity, wanted = identity_at(path, clock), wanted_log(settings)
    if identity is None:
        raise OperatorError(f"there is no log at {path} yet: it has no identity")
    check_identity(
        identity, network=wanted.network, world=wanted.world, where=f"{path}"
    )
    return identity


def _write(path: Path, new: Path) -> None:
    from eventlog.sqlite import copy_checked  # noqa: PLC0415 - only where a file is used

    copy_checked(path, new, in_use=True)
    _sync(new)


def _refuse_existing(copy: Path) -> None:
    if copy.exists():
        raise OperatorError(
            f"{copy} is there already; move it away, or choose another name"
        )


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
