"""What the judgement finds: each kind of damage, done by hand to a sound log."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from eventlog.port import Record
from schemas.states import POSITION_KEY
from schemas.topics import CHANGES, JOURNAL, LATEST, PRICES_RAW, REJECTS, STATE
from tests.chaos.judge import Seen, Standing, judge
from tests.chaos.stream import Stream
from tests.chaos.trail import Trail
from tests.chaos.verdict import standing_in
from tests.chaos.watcher import WATCHED
from tests.chaos.writer import Acknowledged, crc_of
from tests.support.logs import Place, open_at
from tests.support.pipeline import TOPICS, append, follow_progress
from tests.support.processor_process import serve

SHARD = 1
Topics = dict[str, list[Record]]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Standing:
    """All that stands of a shard after the processor folded a few batches."""
    folder = tmp_path_factory.mktemp("sound")
    return asyncio.run(_folded(folder / "log.sqlite"))


async def _folded(path: Path) -> Standing:
    stream = Stream(5, start_ms=1_790_000_000_000)
    async with open_at(Place("sqlite", str(path))) as log:
        await log.create(TOPICS)
        async with asyncio.TaskGroup() as group:
            # Few a commit, so that there are many.
            service = group.create_task(serve(log, "one", inputs=50), name="processor")
            ends = await append(log, [r for n in range(4) for r in stream.batch(n)])
            async with follow_progress(log) as progress:
                await progress.reached(ends)
            service.cancel()
        return await standing_in(log, SHARD)


def seen_of(standing: Standing) -> Seen:
    """What everybody knows of a log that nothing happened to."""
    trails = {topic: Trail() for topic in WATCHED}
    for topic, trail in trails.items():
        for r in standing[topic]:
            trail.add(r.offset, r.key, r.value, r.headers)
    raw = [
        Acknowledged(PRICES_RAW, SHARD, r.offset, crc_of(r.key, r.value))
        for r in standing[PRICES_RAW]
    ]
    return Seen(raw, trails)


def test_a_sound_log_is_found_sound(sound: Standing) -> None:
    found = judge(SHARD, sound, seen_of(sound))
    assert found.is_ok, found.findings
    assert found.observations > 300
    assert found.published == len(sound[CHANGES]) > 100


def a_change_is_lost(topics: Topics) -> None:
    del topics[CHANGES][40]


def a_change_stands_twice(topics: Topics) -> None:
    topics[CHANGES].insert(41, topics[CHANGES][40])


def changes_of_a_key_are_swapped(topics: Topics) -> None:
    changes = topics[CHANGES]
    first = next(
        at for at, r in enumerate(changes) if [c.key for c in changes].count(r.key) > 1
    )
    key = changes[first].key
    second = next(at for at in range(first + 1, len(changes)) if changes[at].key == key)
    changes[first], changes[second] = changes[second], changes[first]


def a_change_says_something_else(topics: Topics) -> None:
    changes = topics[CHANGES]
    changes[40] = changes[40]._replace(value=(changes[40].value or b"") + b" ")


def a_change_names_another_commit(topics: Topics) -> None:
    topics[CHANGES][40] = topics[CHANGES][40]._replace(headers=[("commit", b"0")])


def the_table_is_behind(topics: Topics) -> None:
    key = topics[CHANGES][-1].key
    topics[LATEST] = [r for r in topics[LATEST] if r.key != key]


def a_commit_is_missing(topics: Topics) -> None:
    del topics[JOURNAL][1]


def a_reject_is_missing(topics: Topics) -> None:
    del topics[REJECTS][0]


def an_observation_is_gone(topics: Topics) -> None:
    del topics[PRICES_RAW][0]


def a_position_steps_back(topics: Topics) -> None:
    positions = [r for r in topics[STATE] if r.key == POSITION_KEY]
    topics[STATE] += [positions[-2], positions[-1]]


def the_last_position_is_an_older_one(topics: Topics) -> None:
    last = max(n for n, r in enumerate(topics[STATE]) if r.key == POSITION_KEY)
    del topics[STATE][last]


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (a_change_is_lost, "lost"),
        (a_change_stands_twice, "duplicated"),
        (changes_of_a_key_are_swapped, "out_of_order"),
        (a_change_says_something_else, "divergent"),
        (a_change_names_another_commit, "divergent"),
        (the_table_is_behind, "divergent"),
        (a_commit_is_missing, "divergent"),
        (a_reject_is_missing, "lost"),
        (an_observation_is_gone, "lost"),
        (a_position_steps_back, "out_of_order"),
        (the_last_position_is_an_older_one, "divergent"),
    ],
)
def test_damage_is_found(
    sound: Standing, damage: Callable[[Topics], None], kind: str
) -> None:
    seen, topics = seen_of(sound), {t: list(r) for t, r in sound.items()}
    damage(topics)
    assert getattr(judge(SHARD, topics, seen), kind) > 0


def test_what_was_visible_and_is_gone_is_found(sound: Standing) -> None:
    seen = seen_of(sound)
    seen.trails[CHANGES].add(10_000, b"price:ghost", b"{}", ())
    assert judge(SHARD, sound, seen).divergent == 1


def test_what_was_seen_out_of_order_is_found(sound: Standing) -> None:
    seen, first = seen_of(sound), sound[JOURNAL][0]
    seen.trails[JOURNAL].add(first.offset, first.key, first.value, first.headers)
    assert judge(SHARD, sound, seen).out_of_order == 1
