"""``python -m tests.fuzz --seed S --count N``: say to an edge what no client should.

Exit code 1 if anything was wrong with what came of it: each flaw is printed with the seed
and the number of the case, which ``--case`` plays again.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.play import case
from tests.fuzz.run import Plan, run


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser("tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--case", type=int, help="play this one alone, and show it")
    parser.add_argument("--mutant", default="", help="spoil the edge first")
    told = parser.parse_args()
    if told.case is not None:
        say(f"{case(told.seed, told.case)}")
    with TemporaryDirectory(prefix="fuzz-") as folder:
        plan = Plan(told.seed, told.count, told.case, told.mutant)
        report = asyncio.run(run(Path(folder), plan, say))
    for flaw in report.flaws:
        say(flaw)
    say(report.line())
    return 0 if report.is_ok else 1


if __name__ == "__main__":
    sys.exit(main())
