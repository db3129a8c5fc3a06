"""The processor as a process of its own, in a run that wants it dead."""

import asyncio
import os
import sys
from pathlib import Path

from app.parent import until_parent_is_gone
from eventlog.port import LogUnavailable
from runtime import logs
from runtime.supervisor import Service, leaves, log_failure, supervise
from tests.chaos.mutants import MUTANTS
from tests.chaos.points import POINTS
from tests.chaos.stage import open_log
from tests.support.logs import Place
from tests.support.processor_process import serve

# The code of one that found no log when it started: as a service it would be started
# again.
AWAY = 3


class Victim:
    """The processor's service, from its start."""

    def __init__(self, place: Place, instance: str) -> None:
        self._place, self._instance = place, instance
        self._opened = self.away = False

    async def run(self) -> None:
        async with open_log(self._place) as log:
            self._opened = True
            await serve(log, self._instance)

    def report(self, name: str, error: Exception) -> None:
        """Log what stopped it, with a traceback unless the log was not there."""
        only_away = all(isinstance(each, LogUnavailable) for each in leaves(error))
        self.away = only_away and not self._opened
        log_failure(name, error, operational=(LogUnavailable,) if self.away else ())


def _change_itself() -> None:
    """Take out what ``CHAOS_MUTANT`` names; stop where ``CHAOS_POINT`` says."""
    mutant = os.environ.get("CHAOS_MUTANT")  # noqa: TID251 - a victim has no settings
    point = os.environ.get("CHAOS_POINT")  # noqa: TID251 - a victim has no settings
    if mutant:
        MUTANTS[mutant]()
    if point:
        name, _, armed = point.partition(":")
        POINTS[name](Path(armed))


def main(kind: str, address: str, prefix: str, instance: str) -> int:
    logs.configure(instance, human=False)
    _change_itself()
    victim = Victim(Place(kind, address, prefix), instance)
    services = [Service("parent", until_parent_is_gone), Service("it", victim.run)]
    code = asyncio.run(supervise(services, report=victim.report))
    return AWAY if victim.away else code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
