"""Of many observations between two values the last ones are kept, all are counted."""

from audit.core.alone import Alone
from audit.core.explained import KEPT, Stretch
from processor.core.generations import GENERATIONS
from schemas.journal import Decision
from schemas.topics import PRICES_RAW
from tests.support.audited import SHARD
from tests.support.explained import a_key
from tests.support.folding import ALPHA, price
from tests.unit.audit.core.test_alone import COMMIT, record


def test_the_last_ones_are_kept_and_all_are_counted() -> None:
    alone, stretch, key = Alone(SHARD, GENERATIONS), Stretch(), a_key(f"price:{ALPHA}")
    for offset in range(KEPT + 10):
        stretch.add(alone.fold(PRICES_RAW, record(price("2"), offset), COMMIT, key=key))
    assert len(stretch.steps) == KEPT
    assert stretch.decided == {Decision.PUBLISHED: 1, Decision.DUPLICATE: KEPT + 9}
    assert stretch.steps[-1].observation.record.offset == KEPT + 9
