"""``python -m tests.chaos --seed S --minutes M``: break everything, then judge it.

Exit code 1 if anything was damaged: then the plan is printed, and the logs are kept.
"""

import argparse
import asyncio
import json
import shutil
import signal
import sys
from pathlib import Path
from tempfile import mkdtemp

from runtime import logs
from tests.chaos.plan import DECKS, Plan, as_json, from_json, plan
from tests.chaos.run import run
from tests.chaos.verdict import Verdict


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--log", choices=sorted(DECKS), default="kafka")
    parser.add_argument("--plan", type=Path, help="a file with a plan as printed")
    parser.add_argument("--report", type=Path, help="append the result to this file")
    parser.add_argument("--keep", action="store_true", help="keep the logs in any case")
    return parser.parse_args()


def chosen(arguments: argparse.Namespace) -> Plan:
    """Return the plan given, or that of the seed."""
    if arguments.plan:
        return from_json(arguments.plan.read_text())
    return plan(arguments.seed, arguments.minutes, arguments.log)


async def until_told(planned: Plan, folder: Path) -> Verdict:
    """Carry the plan out; SIGTERM ends it as an interrupt does, with all it started."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run(planned, folder, say)


def main() -> int:
    arguments = read_arguments()
    planned = chosen(arguments)
    logs.configure("chaos", human=False)
    say(f"PLAN {as_json(planned)}")
    folder = Path(mkdtemp(prefix="chaos-"))
    try:
        verdict = asyncio.run(until_told(planned, folder))
    except asyncio.CancelledError:
        say(f"ended before its time; logs kept in {folder}")
        return 130
    if arguments.report:
        with arguments.report.open("a") as opened:
            opened.write(json.dumps(verdict.result()) + "\n")
    if verdict.is_ok and not arguments.keep:
        shutil.rmtree(folder)
    else:
        say(f"logs kept in {folder}")
    if not verdict.is_ok:
        say(f"repeat with --seed {planned.seed}, or --plan and {as_json(planned)}")
    say(verdict.line())
    return 0 if verdict.is_ok else 1


if __name__ == "__main__":
    sys.exit(main())
