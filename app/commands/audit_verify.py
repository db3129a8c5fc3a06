"""``stacks-feed audit verify``: derive everything again and compare."""

import argparse
import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import orjson

from app.audits import Progress, answering, opened_to_ask
from app.commands.service import overrides
from app.configs import accepted_gaps
from app.errors import AS_DERIVED, DIFFERENT, NotAnswered, RequestError
from app.settings import read
from app.shards import Job, on_shards, plan
from audit.core.heads import Compared, NotAHead, heads_in
from audit.heads import compared
from audit.verify import ShardReport, VerifyConfig, verify_shard


def run(arguments: argparse.Namespace) -> int:
    """Verify the shards asked for; 0 if all is as derived and kept heads are there."""
    with answering():
        started_s = perf_counter()
        planned = plan(overrides(arguments), arguments)
        heads = _against(overrides(arguments), arguments.against)
        reports = on_shards(
            _verified, planned, processes=arguments.jobs, doing="verifying"
        )
        took_s = perf_counter() - started_s
    if arguments.json:
        print(as_json(reports, heads))
    else:
        print(in_words(reports, heads, took_s=took_s))
    return _exit_code(reports, heads)


def _exit_code(reports: Sequence[ShardReport], heads: Sequence[Compared]) -> int:
    if any(r.difference for r in reports) or any(head.differs for head in heads):
        return DIFFERENT
    are_all = all(head.is_contained for head in heads)
    return AS_DERIVED if are_all else NotAnswered.exit_code


def _against(overrides: Mapping[str, object], path: str | None) -> Sequence[Compared]:
    """Compare the log with the heads in a file, if one is named."""
    if path is None:
        return ()
    try:
        heads = heads_in(_text(Path(path).read_bytes()))
    except (OSError, NotAHead) as error:
        raise RequestError(f"--against {path}: {error}") from None
    except UnicodeDecodeError:
        raise RequestError(
            f"--against {path}: the file is not UTF-8 text, as `stacks-feed audit head` "
            "prints it; save it as UTF-8"
        ) from None

    async def compare() -> list[Compared]:
        async with opened_to_ask(read(overrides)) as (log, identity):
            return [await compared(log, identity, head) for head in heads]

    return asyncio.run(compare())


def _text(content: bytes) -> str:
    """Return the text of a file; raise ``UnicodeDecodeError`` for one of another encoding."""
    if b"\0" in content:
        # UTF-16, in which some shells write what is sent to a file.
        raise UnicodeDecodeError("utf-8", content, 0, 1, "it has NUL bytes")
    return content.decode()


def _verified(job: Job, progress: Progress) -> ShardReport:
    settings = read(job.overrides)

    async def verify() -> ShardReport:
        async with opened_to_ask(settings) as (log, identity):
            config = VerifyConfig(
                first=job.range.first,
                last=job.range.last,
                accepted=accepted_gaps(settings),
                identity=identity.digest,
            )
            return await verify_shard(log, job.shard, config=config, progress=progress)

    return asyncio.run(verify())


# ---- what came of it


def in_words(
    reports: Sequence[ShardReport], heads: Sequence[Compared] = (), *, took_s: float
) -> str:
    """Say what was verified, shard by shard, what differs, and which heads are there."""
    lines = [_in_words(report) for report in reports]
    lines += [line for head in heads for line in _head_in_words(head)]
    total = sum(report.observations for report in reports)
    different = [report for report in reports if report.difference]
    end = f"{total:,} observations in {took_s:.1f} s ({total / took_s:,.0f} a second)"
    verdict = (
        f"{len(different)} of {len(reports)} shards differ"
        if different
        else ("the log is what the fold makes of it")
    )
    if missing := sum(not head.is_contained for head in heads):
        verdict += f"; {missing} of {len(heads)} heads are not found in it"
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
    if report.declared:
        said += (
            f"\n{shard}: commits 1 to {report.declared} can never be verified: a point was "
            f"declared at commit {report.declared}, because history before it is gone"
        )
    if report.early is not None:
        commits, first, early_ms = report.early
        said += (
            f"\n{shard}: {commits:,} commits were appended before the newest observation that "
            f"they read, the first is commit {first}, by {early_ms / 1_000:,.3f} s: a clock "
            "was set back, or somebody changed append times"
        )
    return f"{said}\n{shard}: {report.difference}" if report.difference else said


def _head_in_words(found: Compared) -> Iterator[str]:
    cut = found.head.cut
    if found.is_contained:
        yield f"the log contains the head of {cut}"
    for why in found.differs:
        yield f"the log does not contain the head of {cut}: {why}"
    for why in found.gone:
        yield f"the log cannot tell if it contains the head of {cut}: {why}"


def as_json(reports: Sequence[ShardReport], heads: Sequence[Compared] = ()) -> str:
    """Return all reports for a program."""
    return orjson.dumps(
        {
            "different": _exit_code(reports, heads) == DIFFERENT,
            "shards": [_as_json(report) for report in reports],
            "heads": [
                {
                    "cut": f"{found.head.cut}",
                    "contained": found.is_contained,
                    "differs": found.differs,
                    "gone": found.gone,
                }
                for found in heads
            ],
        }
    ).decode()


def _as_json(report: ShardReport) -> dict[str, Any]:
    difference = report.difference
    return {
        **asdict(report),
        "early": report.early and report.early._asdict(),
        "difference": difference
        and {**asdict(difference), "check": difference.check.value},
    }
