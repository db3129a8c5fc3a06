"""An explanation in sentences that need no knowledge of the program."""

from collections.abc import Iterable, Iterator, Sequence

from schemas.journal import Commit, Decision
from schemas.latest import decode_latest
from schemas.prices import Price
from schemas.topics import BALANCES_RAW

from .alone import Observation, Step
from .difference import shown
from .explained import Change, Explanation, Stretch
from .telling import (
    observed_at,
    place_text,
    price_text,
    reason_text,
    refusal_text,
    said_text,
    time_text,
    value_text,
)

# Of a stretch of observations so many are told one by one.
_TOLD = 10


def in_sentences(found: Explanation, *, raw: bool = False) -> Iterator[str]:
    """Yield lines that explain a key; ``raw`` adds the bytes of each observation."""
    if found.value is None:
        yield f"{found.key.key.decode()} was not published up to {_after(found)}"
    else:
        yield from _published(found, found.value, raw=raw)
    if found.commit < found.begins:
        yield "what came since then is not told: that can no longer be derived"
    else:
        yield from _stretch("since then", found, found.since, raw=raw)


def _after(found: Explanation) -> str:
    return f"commit {found.commit} of shard {found.shard}"


def _published(found: Explanation, value: Change, *, raw: bool) -> Iterator[str]:
    key = found.key.key
    yield f"{key.decode()} is {value_text(key, value.value)} after {_after(found)}"
    yield f"  published {_change(found.shard, value)}"
    newest = observed_at(key, value.value)
    if newest is not None:
        yield f"  observed {time_text(newest)}"
    if found.stands_on:
        yield "it stands on"
        for seen in found.stands_on:
            yield from _observation(said_text(seen, found.key), seen, raw=raw)
    is_derived = value.commit > found.begins
    if is_derived:
        yield "why it changed"
        step = found.led.steps[-1]
        told = _cause(found, value, step)
        yield from _observation(told, step.observation, raw=raw)
    else:
        yield f"why it changed can no longer be derived: {_gone(found)}"
    yield from _before(found)
    if is_derived:
        between = _without_last(found.led)
        yield from _stretch("between the two", found, between, raw=raw)


def _before(found: Explanation) -> Iterator[str]:
    key, previous = found.key.key, found.previous
    if previous is not None:
        yield f"before it was {value_text(key, previous.value)}"
        yield f"  published {_change(found.shard, previous)}"
        if previous.commit <= found.begins:
            yield f"  that can no longer be derived: {_gone(found)}"
    elif found.begins:
        yield f"  what was published before is not known: {_gone(found)}"
    else:
        yield "  nothing was published before"


def _gone(found: Explanation) -> str:
    """Say from where on history can be derived, and why not from before."""
    why = f"history of shard {found.shard} before commit {found.begins + 1} is gone"
    if found.declared:
        return f"{why}, a point was declared at commit {found.declared}"
    return why


def _change(shard: int, change: Change) -> str:
    at = f"changes[{shard}] at offset {change.offset}"
    if change.log_time is None:
        return f"in commit {change.commit}: {at}"
    return (
        f"in commit {change.commit}, log time {time_text(change.log_time)}: {at}, "
        f"journal[{shard}] at offset {change.journal}"
    )


def _cause(found: Explanation, value: Change, step: Step) -> str:
    said = said_text(step.observation, found.key)
    before = found.previous.value if found.previous else None
    after = decode_latest(found.key.key, value.value or b"")
    if not isinstance(after, Price):
        return said
    words = price_text(step, found.commits[step.commit].settings)
    if step.judgement is not None:
        return f"{said}; {words}"
    earlier = decode_latest(found.key.key, before or b"")
    if not isinstance(earlier, Price):
        return f"{said}; {words} is {after.usd}"
    return (
        f"{said}; {words} is {after.usd}; that differs from the {earlier.usd} "
        "published before"
    )


def _without_last(stretch: Stretch) -> Stretch:
    """Return what led to a value but did not publish it."""
    steps = list(stretch.steps)[:-1]
    decided = stretch.decided.copy()
    decided[Decision.PUBLISHED] -= 1
    short = Stretch(+decided, stretch.silent, stretch.passed)
    short.steps.extend(steps)
    return short


def _stretch(
    when: str, found: Explanation, stretch: Stretch, *, raw: bool
) -> Iterator[str]:
    if stretch.passed:
        yield (
            f"{when}: {stretch.passed:,} observations of this {_owner(found)} that did "
            "not change it, too many to tell why of each"
        )
        when = "after them"
    total = stretch.decided.total()
    silent = f", {stretch.silent} that say nothing of it" if stretch.silent else ""
    if not total:
        yield f"{when}: no observation of it{silent}"
        return
    counts = ", ".join(
        f"{count} {decision.value}" for decision, count in stretch.decided.items()
    )
    many = "observation" if total == 1 else "observations"
    yield f"{when}: {total} {many} that did not change it ({counts}){silent}"
    told = list(stretch.steps)[-_TOLD:]
    if total > len(told):
        yield f"  the last {len(told)} of them:"
    yield from _unchanged(found, told, raw=raw)


def _owner(found: Explanation) -> str:
    return "user" if found.key.topic == BALANCES_RAW else "token"


def _unchanged(
    found: Explanation, steps: Iterable[Step], *, raw: bool
) -> Iterator[str]:
    before = _standing(found)
    for step in steps:
        is_since = found.value is None or step in found.since.steps
        value = before[0] if is_since else before[1]
        commit = found.commits[step.commit]
        why = reason_text(step, commit, before=value, key=found.key)
        decision = step.decision.value if step.decision else ""
        said = said_text(step.observation, found.key)
        yield from _observation(f"{decision}: {said}; {why}", step.observation, raw=raw)


def _standing(found: Explanation) -> Sequence[bytes | None]:
    """Return the value explained, and the one before."""
    return tuple(each.value if each else None for each in (found.value, found.previous))


def _observation(told: str, seen: Observation, *, raw: bool) -> Iterator[str]:
    yield f"  {told} ({place_text(seen)})"
    if raw:
        yield f"    {shown(seen.record.value)}"


def fate_in_sentences(
    seen: Observation,
    step: Step | None,
    commit: Commit | None,
    *,
    reject: int | None,
    raw: bool = False,
) -> Iterator[str]:
    """Yield lines that tell what became of an observation."""
    yield from (line[2:] for line in _observation(said_text(seen, None), seen, raw=raw))
    if step is None or commit is None:
        yield "it is not folded: no commit has read it yet, or it stands in a gap"
        return
    yield f"read by commit {commit.commit}, log time {time_text(commit.log_time)}"
    if step.reject is not None:
        yield refusal_text(step.reject, commit.settings)
        where = f"at offset {reject}" if reject is not None else "held no more"
        yield f"its record in rejects[{seen.shard}] is {where}"
    elif step.published:
        for key, value in step.published.items():
            yield f"published {shown(key)}: {value_text(key, value)}"
        if step.judgement is not None:
            yield price_text(step, commit.settings)
    else:
        decision = step.decision.value if step.decision else "nothing"
        why = f"; {price_text(step, commit.settings)}" if step.judgement else ""
        yield f"{decision}: nothing was published{why}"
