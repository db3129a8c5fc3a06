"""The same history folded otherwise: what would have been published."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from audit.beginning import Beginning, beginning_of
from audit.commits import check_held, open_commits
from audit.core.commits import CommitRead
from audit.core.differing import Comparison, changed_settings
from audit.core.table import new_standing
from audit.errors import HistoryGone
from audit.snapshots import nearest
from eventlog.port import EventLog, Partition
from processor.core.batch import Batch
from processor.core.generations import (
    GENERATIONS,
    UNLIMITED,
    Generations,
    fold_of,
    log_of,
    settings_for,
)
from processor.core.shard_state import ShardState
from schemas.topics import CHANGES, JOURNAL

# Told how many observations were folded since the last time.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class DiffConfig:
    """Which commits are folded otherwise, and how.

    Up to ``first`` all is folded as it was; from it to ``last`` (``None``: the end) with
    the settings in ``changed`` instead of those of each commit, and by the fold of
    ``generation`` if that is not ``None``.
    """

    first: int = 1
    last: int | None = None
    changed: Mapping[str, object] = field(default_factory=dict)
    generation: int | None = None
    generations: Generations = field(default_factory=lambda: GENERATIONS)


async def diff_shard(
    log: EventLog,
    shard: int,
    *,
    config: DiffConfig,
    progress: Progress = lambda _: None,
) -> Comparison:
    """Compare what a shard published with what it would have.

    Says nothing about whether the log is as the fold made it: that is for ``verify``.
    Raises ``HistoryGone``, ``UnknownGeneration``, ``WrongSetting`` for a setting that the
    generation does not have, and ``DifferenceFound`` for a journal record that cannot be
    read.
    """
    beginning = await beginning_of(log, shard)
    state, places = await _begin(log, shard, beginning, before=config.first)
    comparison = Comparison()
    if beginning.commit >= config.first:
        comparison.begins[shard] = beginning.commit
    (end,) = (await log.ends([Partition(JOURNAL, shard)])).values()
    async with open_commits(log, shard, start=places) as commits:
        while not _is_over(state, config):
            read = await commits.next(before=end)
            if read is None:
                break
            check_held(read.said, beginning.oldest, shard=shard)
            batch = _folded(state, read, config)
            if read.said.commit >= config.first:
                comparison.commit(
                    [(change.key, change.value) for change in read.changes],
                    batch.entries[CHANGES],
                    shard=shard,
                    commit=read.said.commit,
                )
            batch.apply()
            progress(sum(batch.read.values()))
    return comparison


def _is_over(state: ShardState, config: DiffConfig) -> bool:
    return config.last is not None and state.position.commit >= config.last


async def _begin(
    log: EventLog, shard: int, beginning: Beginning, *, before: int
) -> tuple[ShardState, Mapping[str, int] | None]:
    """Return the state of the last snapshot before a commit, and where to read on.

    Where history begins later than that, it is the state of its beginning.
    """
    at_most = max(before - 1, beginning.commit)
    found = await nearest(log, shard, at_most=at_most, oldest=beginning.oldest)
    if found is None:
        if beginning.commit:
            (oldest,) = (await log.oldest([Partition(JOURNAL, shard)])).values()
            raise HistoryGone(JOURNAL, shard, oldest=oldest)
        return new_standing(shard).state, None
    snapshot, standing = found
    return standing.state, snapshot.header.places


def _folded(state: ShardState, read: CommitRead, config: DiffConfig) -> Batch:
    said = read.said
    settings, generation = said.settings, said.generation
    if said.commit >= config.first:
        generation = config.generation or generation
        settings = settings_for(generation, settings)
        settings = changed_settings(settings, config.changed, generation=generation)
    state.read_on({topic: stretch.start for topic, stretch in said.inputs.items()})
    fold = fold_of(
        config.generations, generation, shard=state.shard, commit=said.commit
    )
    return fold(
        state,
        list(read.inputs),
        settings=settings,
        limits=UNLIMITED,
        log=log_of(said),
    )
