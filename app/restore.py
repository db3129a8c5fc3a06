"""Puts a copy of a SQLite log in the place of the log."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

from app.configs import index_path, place_of, wanted_log
from app.errors import OperatorError
from app.places import File
from app.settings import Settings
from app.topics import check_identity, read_identity
from eventlog.port import LogError
from runtime.clock import Clock
from schemas.log import LogIdentity


@dataclass(frozen=True, slots=True)
class RestoredCopy:
    """The outcome of a restore: the log now in place, and where the replaced one is, if any."""

    identity: LogIdentity
    path: Path
    kept: Path | None


def restore_copy(settings: Settings, copy: Path, *, clock: Clock) -> RestoredCopy:
    """Check a copy and put it in place of the log of ``settings``.

    It must be whole, of this program's version or an older one, of the wanted network and
    world, and of the log that is there, if that can be read. Raises ``OperatorError``, and
    ``LogError`` for a copy that is no good; then nothing is changed.
    """
    place = place_of(settings)
    if not isinstance(place, File):
        raise OperatorError(
            "only a log in a file is restored; a broker has its own tools"
        )
    if not copy.is_file():
        raise OperatorError(f"there is no copy at {copy}")
    # Not the link, where the log is kept by way of one: the file that it leads to.
    path = place.path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with folder_beside(path) as folder:
        new = folder / path.name
        identity = _checked_copy(settings, copy, new, clock)
        _check_same(path, identity, clock)
        kept = _replace(place.path, path, new, clock)
    # It names offsets of the log that was replaced, and is made anew.
    index_path(settings).unlink(missing_ok=True)
    return RestoredCopy(identity, path, kept)


def _checked_copy(
    settings: Settings, copy: Path, new: Path, clock: Clock
) -> LogIdentity:
    """Write the copy to ``new`` and return its identity, if it is one that is wanted."""
    from eventlog.sqlite import copy_checked  # noqa: PLC0415 - only where a file is used

    copy_checked(copy, new, in_use=False)
    identity, wanted = identity_at(new, clock), wanted_log(settings)
    if identity is None:
        raise OperatorError(f"the copy at {copy} has no identity: it holds no log yet")
    check_identity(
        identity, network=wanted.network, world=wanted.world, where=f"{copy}"
    )
    return identity


def _replace(named: Path, path: Path, new: Path, clock: Clock) -> Path | None:
    """Put ``new`` in place of ``path``, by whatever name it has; return where the replaced log is kept, if there was one."""
    from eventlog.sqlite import LogInUse, SqliteConfig, put_in_place  # noqa: PLC0415 - only where a file is used

    moment = datetime.fromtimestamp(clock.now_ms() / 1_000, UTC)
    kept = path.with_name(f"{path.name}.replaced-{moment:%Y%m%dT%H%M%S%fZ}")
    existed = path.exists()
    try:
        put_in_place(new, SqliteConfig(named, now_ms=clock.now_ms), kept=kept)
    except LogInUse:
        raise OperatorError(
            f"services have the log at {path} open; stop all of them, then restore"
        ) from None
    return kept if existed else None


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Make a folder on the same file system, from which a file can be moved at once."""
    folder = Path(mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def identity_at(path: Path, clock: Clock) -> LogIdentity | None:
    """Return the identity of the log in a file; ``None`` where none was written yet."""
    from eventlog.sqlite import SqliteConfig, open_sqlite  # noqa: PLC0415 - only where a file is used

    async def read() -> LogIdentity | None:
        async with open_sqlite(SqliteConfig(path, now_ms=clock.now_ms)) as log:
            return await read_identity(log)

    return asyncio.run(read())


def _check_same(path: Path, identity: LogIdentity, clock: Clock) -> None:
    """Raise ``OperatorError`` if another log is at ``path``; a damaged one is replaced."""
    try:
        found = identity_at(path, clock) if path.exists() else None
    except (LogError, OperatorError):
        return
    if found is not None and found.id != identity.id:
        raise OperatorError(
            f"the copy is of log {identity.id}, the log at {path} is {found.id}; move that "
            "away first if it is to be replaced by another"
        )
