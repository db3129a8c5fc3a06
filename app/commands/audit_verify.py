"""``stacks-feed audit verify``: derive everything again and compare."""

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from time import perf_counter
from typing import Any

import orjson

from app.audits import Progress, answering, opened_to_ask
from app.commands.service import overrides
from app.configs import accepted_gaps
from app.errors import AS_DERIVED, DIFFERENT
from app.settings import read
from app.shards import Job, on_shards, plan
from audit.verify import ShardReport, VerifyConfig, verify_shard


def run(arguments: argparse.Namespace) -> int:
    """Verify the shards asked for; 0 if all is as derived, else 1."""
    with answering():
        started_s = perf_counter()
        planned = plan(overrides(arguments), arguments)
        reports = on_shards(
            _verified, planned, processes=arguments.jobs, doing="verifying"
        )
        took_s = perf_counter() - started_s
    print(as_json(reports) if arguments.json else in_words(reports, took_s=took_s))
    different = any(report.difference for report in reports)
    return DIFFERENT if different else AS_DERIVED


def _verified(job: Job, progress: Progress) -> ShardReport:
    settings = read(job.overrides)
    config = VerifyConfig(
        first=job.range.first, last=job.range.last, accepted=accepted_gaps(settings)
    )

    async def verify() -> ShardReport:
        async with opened_to_ask(settings) as (log, _):
            return await verify_shard(log, job.shard, config=config, progress=progress)

    return asyncio.run(verify())


# ---- what came of it


def in_words(reports: Sequence[ShardReport], *, took_s: float) -> str:
    """Say what was verified, shard by shard, and what differs."""
    lines = [_in_words(report) for report in reports]
    total = sum(report.observations for report in reports)
    different = [report for report in reports if report.difference]
    end = f"{total:,} observations in {took_s:.1f} s ({total / took_s:,.0f} a second)"
    verdict = (
        f"{len(different)} of {len(reports)} shards differ"
        if different
        else ("the log is what the fold makes of it")
    )
    return "\n".join([*lines, f"{verdict}; {end}"])


def _in_words(report: ShardReport) -> str:
    shard = f"shard {report.shard}"
    if report.last > report.start:
        done = (
            f"{shard}: commits {report.start + 1} to {report.last}, "
            f"{report.observations:,} observations, as derived"
        )
    else:
        done = f"{shard}: no commit"
    notes = [
        (report.start, f"from the snapshot of commit {report.start}"),
        (report.snapshots, f"{report.snapshots} snapshots as derived"),
        (report.waiting, f"not yet folded: {report.waiting:,}"),
        (report.later, f"{report.later:,} keys of `latest` changed since"),
    ]
    said = "; ".join([done, *(note for count, note in notes if count)])
    return f"{said}\n{shard}: {report.difference}" if report.difference else said


def as_json(reports: Sequence[ShardReport]) -> str:
    """Return all reports for a program."""
    return orjson.dumps(
        {
            "different": any(report.difference for report in reports),
            "shards": [_as_json(report) for report in reports],
        }
    ).decode()


def _as_json(report: ShardReport) -> dict[str, Any]:
    difference = report.difference
    return {
        **asdict(report),
        "difference": difference
        and {**asdict(difference), "check": difference.check.value},
    }
