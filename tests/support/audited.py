"""A small history of one shard, folded by the processor's core into a log of lists."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from itertools import count
from typing import Any

from audit.commits import open_commits
from audit.core.commits import CommitRead, read_commit
from audit.core.difference import Difference
from audit.core.table import new_standing
from audit.core.verify import Verifier
from audit.snapshots import write_snapshot
from audit.verify import ShardReport, VerifyConfig, verify_shard
from eventlog.port import Record
from processor.core import prices
from processor.core.batch import NEWEST, Batch, Limits, fold_batch
from processor.core.generations import GENERATIONS, Fold, Generations
from processor.core.prices import Quote, TokenPrice
from processor.core.rules import Outcome, Refused, Rules
from processor.core.shard_state import ShardState
from schemas.base import encode
from schemas.journal import FoldSettings, FoldSettingsV1
from schemas.topics import CHANGES, JOURNAL, PRICES_RAW, RAW, REJECTS, SNAPSHOTS
from tests.support.folding import (
    ALPHA,
    BETA,
    STX,
    confirmed,
    forgotten,
    holding,
    owner_of,
    price,
    reading,
    subnet,
    token,
    topic_of,
)
from tests.support.list_log import ListLog

SHARD = 1
PER_COMMIT = 5
_STEP_MS = 1_000
_APPENDED_MS = 10_000_000


def observations() -> Iterator[tuple[str, bytes | None, bytes | None]]:
    """Yield what a shard reads: every kind, and what is refused or changes nothing."""
    for step in range(12):
        at = 1 + step * _STEP_MS
        yield _said(price(f"1.{step // 2 + 1}1", "a", at))
        yield _said(price(f"1.{step + 1}2", "b", at, token=BETA))
        if step % 3 == 0:
            yield _said(price(f"1.{step + 1}5", "c", at))
            yield _said(token("hiro", at, of=ALPHA, name=f"Alpha {step}"))
            yield _said(reading(at, holding(ALPHA, step + 1), holding(STX, 7)))
        if step % 4 == 1:
            yield _said(subnet(at, step))
            yield _said(price("1.11", "a", 1))
            yield "prices.raw", ALPHA.encode(), b"nonsense"
    yield _said(confirmed(20_000, "b" * 64))
    yield _said(forgotten(30_000))
    yield _said(reading(40_000, holding(BETA, 5)))


def _said(event: Any) -> tuple[str, bytes, bytes]:
    return topic_of(event), owner_of(event), encode(event)


class Writing:
    """A processor of one shard that writes into lists, a few inputs a commit."""

    def __init__(self, log: ListLog, *, shard: int = SHARD, holes: int = 0) -> None:
        self.log, self.shard, self.holes = log, shard, holes
        self.state = ShardState(shard)
        self._times = count(_APPENDED_MS)

    def observe(self, seen: Sequence[tuple[str, bytes | None, bytes | None]]) -> None:
        for topic, key, value in seen:
            time_ms = next(self._times)
            self.log.put(topic, self.shard, [(key, value, ())], time_ms=time_ms)

    def fold(
        self,
        *,
        settings: FoldSettingsV1 = FoldSettings(),  # noqa: B008 - immutable
        fold: Fold = fold_batch,
        per_commit: int = PER_COMMIT,
        commits: int = 1_000,
    ) -> None:
        """Fold what is not yet folded, in at most so many commits."""
        self.state.start_at(dict.fromkeys(RAW, 0))
        for _ in range(commits):
            if not (inputs := self._inputs()):
                return
            limits = Limits(inputs=per_commit)
            self._write(fold(self.state, inputs, settings=settings, limits=limits))

    def _inputs(self) -> list[tuple[str, list[Record]]]:
        inputs = []
        for topic in RAW:
            start = self.state.position.positions[topic]
            records = self.log.of(topic, self.shard)
            if left := [record for record in records if record.offset >= start]:
                inputs.append((topic, left))
        return inputs

    def _write(self, batch: Batch) -> None:
        for topic, entries in batch.entries.items():
            self.log.put(topic, self.shard, entries, holes=self.holes)
        batch.apply()


def a_history(*, holes: int = 0) -> ListLog:
    """Return the whole small history, with other settings in its second half."""
    log = ListLog(SHARD + 1)
    writing = Writing(log, holes=holes)
    seen = list(observations())
    writing.observe(seen[:20])
    writing.fold()
    writing.observe(seen[20:])
    writing.fold(settings=FoldSettings(price_deviation="0.01"))
    return log


def reads(log: ListLog, shard: int = SHARD) -> Iterator[CommitRead]:
    """Yield the commits of lists that nobody has tampered with."""
    journal = log.of(JOURNAL, shard)
    changes, rejects = iter(log.of(CHANGES, shard)), iter(log.of(REJECTS, shard))
    for record, following in zip(journal, [*journal[1:], None], strict=True):
        said = read_commit(record, shard=shard)
        inputs = [
            (
                topic,
                [
                    one
                    for one in log.of(topic, shard)
                    if said.inputs[topic].start <= one.offset < said.inputs[topic].end
                ],
            )
            for topic in RAW
            if topic in said.inputs
        ]
        yield CommitRead(
            record,
            said,
            inputs,
            [next(changes) for _ in range(said.published.count)],
            [next(rejects) for _ in range(said.rejects.count)],
            following=following,
        )


# ---- asked


async def verified(log: ListLog, **config: Any) -> ShardReport:
    wanted = VerifyConfig(settle_s=0, **config)
    return await verify_shard(log.as_log(), SHARD, config=wanted)


async def difference_in(log: ListLog, **config: Any) -> Difference:
    found = (await verified(log, **config)).difference
    assert found is not None
    return found


async def snapshot_at(log: ListLog, commit: int, *, snapshot_id: str = "a") -> int:
    """Write a snapshot of a commit that was verified; return the offset of its header."""
    standing = new_standing(SHARD)
    verifier = Verifier(standing, GENERATIONS)
    async with open_commits(log.as_log(), SHARD, settle_s=0) as commits:
        while verifier.commit < commit:
            read = await commits.next()
            assert read is not None
            verifier.check(read)
        places = commits.places
    await write_snapshot(
        log.as_log(), standing, places, generation=2, snapshot_id=snapshot_id * 32
    )
    return log.of(SNAPSHOTS, SHARD)[-1].offset


# ---- another generation


def _fold_rounded(token: TokenPrice, seen: Quote, rules: Rules) -> Outcome | Refused:
    """Fold a price that is cut to one place, downwards."""
    cut = seen.number.quantize(Decimal("0.1"), rounding=ROUND_DOWN).normalize()
    usd = f"{cut:f}"
    return prices.fold(token, replace(seen, usd=usd, number=Decimal(usd)), rules)


ROUNDING_DOWN = replace(
    NEWEST, number=3, folds={**NEWEST.folds, PRICES_RAW: _fold_rounded}
)


def fold_rounding_down(state: ShardState, inputs: Any, **how: Any) -> Batch:
    """Fold as generation 3: prices are cut to one place, downwards."""
    return fold_batch(state, inputs, generation=ROUNDING_DOWN, **how)


MORE_GENERATIONS: Generations = {**GENERATIONS, 3: fold_rounding_down}
