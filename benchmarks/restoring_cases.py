"""The cases of ``restore``: how long and how large, beside a plain ``dict``."""

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.results import Result
from benchmarks.trial import Cost, alternate, run_trial


def restored(
    name: str, log: dict[str, Any], *, count: int, rounds: int
) -> list[Result]:
    """Measure the restoring of ``count`` keys from a log."""
    told = {**log, "count": count}
    run_trial("restoring.fill", told)
    ours, bare = alternate(
        ("restoring.restore", told), ("restoring.bare", told), rounds=rounds
    )
    return [
        _beside(f"{name} restore", ours, bare, unit=f"s for {count:,} keys"),
        _beside(f"{name} restore", ours, bare, unit="bytes a key"),
    ]


def _beside(
    name: str, ours: Sequence[Cost], bare: Sequence[Cost], *, unit: str
) -> Result:
    mine, peer = (
        statistics.median(
            cost.extra["bytes_a_key"] if unit.startswith("bytes") else cost.wall_s
            for cost in costs
        )
        for costs in (ours, bare)
    )
    return Result(
        name=name,
        value=mine,
        unit=unit,
        peer=f"read into a dict, {peer:,.2f}",
        ratio=mine / peer,
    )
