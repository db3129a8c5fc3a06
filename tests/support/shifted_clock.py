"""A wall clock of one process that can be set while it runs; built by ``cc``."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

_SOURCE = Path(__file__).with_suffix(".c")


class ShiftedClock:
    """What a process started with ``variables`` takes for the time is off by ``set``."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("needs a C compiler named cc, to shift the clock of a process")
        self._library, self._shift = folder / "clock.so", folder / "shift"
        command = [compiler, "-shared", "-fPIC", "-o", str(self._library), str(_SOURCE)]
        subprocess.run([*command, "-ldl"], check=True)  # noqa: S603 - the path comes from which()
        self.set(0)

    @property
    def variables(self) -> Mapping[str, str]:
        """What the process must find in its environment."""
        return {"LD_PRELOAD": str(self._library), "SHIFTED_CLOCK": str(self._shift)}

    def set(self, shift_s: int) -> None:
        """Let the clock be off by so many seconds from now on."""
        # In place: the process has the file's first page mapped.
        with self._shift.open("r+b" if self._shift.exists() else "wb") as opened:
            opened.write(shift_s.to_bytes(8, "little", signed=True))
