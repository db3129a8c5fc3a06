"""Of many observations between two values the last ones are kept, all are counted."""

from audit.core.alone import Alone
from audit.core.explained import KEPT, Change, Explaining, Stretch
from processor.core.generations import GENERATIONS
from schemas.journal import Decision
from schemas.topics import PRICES_RAW
from tests.support.audited import SHARD, a_history, reads
from tests.support.explained import a_key
from tests.support.folding import ALPHA, price
from tests.unit.audit.core.test_alone import COMMIT, record

COMMITS = [read.said for read in reads(a_history())][:3]


def test_the_last_ones_are_kept_and_all_are_counted() -> None:
    alone, stretch, key = Alone(SHARD, GENERATIONS), Stretch(), a_key(f"price:{ALPHA}")
    for offset in range(KEPT + 10):
        stretch.add(alone.fold(PRICES_RAW, record(price("2"), offset), COMMIT, key=key))
    assert len(stretch.steps) == KEPT
    assert stretch.decided == {Decision.PUBLISHED: 1, Decision.DUPLICATE: KEPT + 9}
    assert stretch.steps[-1].observation.record.offset == KEPT + 9


def test_what_was_published_before_the_value_before_is_of_no_matter() -> None:
    key = a_key(f"price:{ALPHA}")
    alone = Alone(SHARD, GENERATIONS)
    steps = [
        alone.fold(PRICES_RAW, record(price(f"{at}", at=at), at), said, key=key)
        for at, said in enumerate(COMMITS, start=1)
    ]
    changes = [
        Change(step.commit, step.published[key.key], step.commit, 0, 0)
        for step in steps
    ]
    explaining = Explaining(key, SHARD, changes[2], changes[1])
    for step in steps:
        explaining.add(step)
    explaining.end()
    assert list(explaining.led.steps) == [steps[2]]
