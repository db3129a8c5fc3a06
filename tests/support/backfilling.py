"""Backfill as a test uses it: rules that fit any history, and a plan that is carried out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eventlog.port import EventLog
from ingest.backfill import BackfillConfig, BackfillReport, Progress, planned
from ingest.core.history_rows import RowRules
from schemas.ids import Network
from tests.support.logs import now_ms


def config_of(
    partitions: int, *, skip_bad: bool = False, **rules: Any
) -> BackfillConfig:
    given = {"network": Network.MAINNET, "latest_ms": now_ms() + 60_000, **rules}
    return BackfillConfig(partitions, RowRules(**given), skip_bad=skip_bad)


async def backfill(
    log: EventLog,
    files: Sequence[Path],
    config: BackfillConfig,
    *,
    progress: Progress = lambda *_: None,
) -> BackfillReport:
    """Plan, and write unless something is bad."""
    async with planned(log, files, config, progress=progress) as plan:
        if not plan.is_blocked:
            await plan.write()
        return plan.report
