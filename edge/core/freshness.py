"""Whether what we serve may be old: the log is silent, or a shard is not processed."""

from collections.abc import Mapping


def stale_because(
    watermarks_ms: Mapping[int, int],
    *,
    shards: int,
    silent_s: float,
    now_ms: int,
    limit_s: float,
) -> str | None:
    """Return why newer values may exist than those we have; ``None`` if they are fresh.

    ``silent_s`` is how long the log has not answered us: then what the watermarks say is
    no news. A shard counts when its watermark is further back than ``limit_s``.
    """
    if silent_s > limit_s:
        return f"the log has not answered for {silent_s:.0f} s"
    said: list[str] = []
    for shard in range(shards):
        mark_ms = watermarks_ms.get(shard)
        if mark_ms is None:
            said.append(f"shard {shard} was never processed")
        elif now_ms - mark_ms > limit_s * 1_000:
            behind_s = (now_ms - mark_ms) // 1_000
            said.append(f"shard {shard} is processed up to {behind_s} s ago")
    return "; ".join(said) or None


def oldest_ms(watermarks_ms: Mapping[int, int], *, shards: int) -> int:
    """Return the watermark of the shard that is furthest behind; 0 if one has none."""
    return min((watermarks_ms.get(shard, 0) for shard in range(shards)), default=0)
