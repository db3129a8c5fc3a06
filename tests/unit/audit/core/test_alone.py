"""An observation folded alone does what it did in its commit."""

from audit.core.alone import Alone, observed
from eventlog.port import Record
from processor.core.generations import GENERATIONS
from schemas.base import encode
from schemas.journal import Decision
from schemas.rejects import Reason
from schemas.topics import BALANCES_RAW, PRICES_RAW
from tests.support.audited import SHARD, a_history, reads
from tests.support.explained import a_key
from tests.support.folding import ALPHA, USER, holding, price, reading

COMMIT = next(reads(a_history())).said


def record(event: object, offset: int = 0, key: str = ALPHA) -> Record:
    return Record(offset, 10_000, key.encode(), encode(event))  # type: ignore[arg-type] # a record


def test_a_step_says_what_was_published_and_by_which_words() -> None:
    key = a_key(f"price:{ALPHA}")
    step = Alone(SHARD, GENERATIONS).fold(
        PRICES_RAW, record(price("2")), COMMIT, key=key
    )
    assert step.decision is Decision.PUBLISHED
    assert step.words == {"a": ("2", 1)}
    assert step.published.keys() == {key.key}
    assert step.reject is None


def test_of_several_decisions_as_a_whole_the_weightiest_is_told() -> None:
    alone = Alone(SHARD, GENERATIONS)
    event = reading(1, holding(ALPHA, 1))
    step = alone.fold(BALANCES_RAW, record(event, key=USER), COMMIT, key=None)
    assert step.decision is Decision.PUBLISHED


def test_what_cannot_be_read_says_nothing_and_is_refused() -> None:
    alone = Alone(SHARD, GENERATIONS)
    nonsense = Record(0, 10_000, ALPHA.encode(), None)
    assert observed(PRICES_RAW, SHARD, nonsense).said is None
    step = alone.fold(PRICES_RAW, nonsense, COMMIT, key=None)
    assert step.decision is Decision.REJECTED
    assert step.reject is not None
    assert step.reject.reason is Reason.SCHEMA
