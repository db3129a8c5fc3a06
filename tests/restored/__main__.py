"""``python -m tests.restored --minutes N``: kill everything, restore a copy, judge clients.

Runs `up` for so many minutes with clients of every kind, copies the log in the middle, kills
every process with -9 in the end, puts the copy back and starts again. Exit code 1 if a client
kept what the table has not, or if the audit finds a difference: then the files are kept.
"""

import argparse
import asyncio
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp

from tests.restored.run import Plan, run


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser("tests.restored", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--interval", type=float, default=3, help="seconds, of prices")
    told = parser.parse_args()
    half_s = told.minutes * 60 / 2
    plan = Plan(
        before_s=half_s,
        lost_s=half_s,
        after_s=min(half_s, 300),
        price_interval_s=told.interval,
        poll_s=1.0,
        wait_s=120,
    )
    folder = Path(mkdtemp(prefix="restored-"))
    report = asyncio.run(run(folder, plan, say))
    for flaw in report.flaws:
        say(flaw)
    if report.is_ok:
        shutil.rmtree(folder)
    else:
        say(f"files kept in {folder}")
    say(report.line())
    return 0 if report.is_ok else 1


if __name__ == "__main__":
    sys.exit(main())
