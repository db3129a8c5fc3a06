"""``python -m tests.churn --seed S --seconds N --clients M``: clients come and go at an edge.

Exit code 1 if a client saw what was not true, or missed what was.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.churn.run import Plan, run


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser("tests.churn", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=300)
    parser.add_argument("--mutant", default="", help="spoil the edge first")
    told = parser.parse_args()
    plan = Plan(told.seed, told.clients, seconds=told.seconds, mutant=told.mutant)
    with TemporaryDirectory(prefix="churn-") as folder:
        report = asyncio.run(run(Path(folder), plan, say))
    for flaw in report.flaws:
        say(flaw)
    say(report.line())
    if not report.is_ok:
        say(f"repeat with --seed {told.seed} --clients {told.clients}")
    return 0 if report.is_ok else 1


if __name__ == "__main__":
    sys.exit(main())
