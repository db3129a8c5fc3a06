"""``python -m tests.hostile --seed S --minutes M``: every upstream answers what it likes.

Exit code 1 if ingest stopped, read a good source late, took too much memory, or showed
the state of a source wrongly: then its log lines are kept.
"""

import argparse
import asyncio
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp

from tests.hostile.run import run


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser("tests.hostile", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=2)
    told = parser.parse_args()
    folder = Path(mkdtemp(prefix="hostile-"))
    report = asyncio.run(run(folder, told.seed, seconds=told.minutes * 60, say=say))
    if report.is_ok:
        shutil.rmtree(folder)
    else:
        for flaw, times in report.flaws.most_common():
            say(f"{times} x {flaw}")
        say(f"log lines kept in {folder}; repeat with --seed {told.seed}")
    say(report.line())
    return 0 if report.is_ok else 1


if __name__ == "__main__":
    sys.exit(main())
