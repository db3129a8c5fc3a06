"""What was decided on each key adds up to what the fold counted."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from audit.core.decisions import decision_on
from audit.core.subjects import Key, subject_in
from eventlog.port import Record
from processor.core.batch import fold_batch
from processor.core.shard_state import ShardState
from schemas.balances import AccountRead, BalanceObserved
from schemas.base import decoder, encode
from schemas.journal import Decision, FoldSettings
from schemas.topics import BALANCES_RAW
from tests.support.folding import (
    ALPHA,
    ALPHA_SUBNET,
    BETA,
    STX,
    USER,
    confirmed,
    forgotten,
    holding,
    reading,
    subnet,
)

amount = st.integers(-1, 2)
moment = st.integers(1, 6)
_read = decoder(BalanceObserved)


def holdings(amounts: dict[str, int]) -> AccountRead:
    held = [holding(token, n) for token, n in amounts.items()]  # type: ignore[arg-type] # ids
    return reading(1, *held)


readings = st.builds(
    lambda at, held: holdings(held).model_copy(update={"observed_at": at}),
    moment,
    st.dictionaries(st.sampled_from([ALPHA, BETA, STX]), amount),
)
others = st.one_of(
    st.builds(subnet, moment, amount, base=st.sampled_from([ALPHA, BETA])),
    st.builds(forgotten, moment),
    st.builds(confirmed, moment, st.just("b" * 64)),
)


def key(token: str) -> Key:
    found = subject_in(f"balance:{USER}:{token}")
    assert isinstance(found, Key)
    return found


@given(st.lists(st.one_of(readings, readings, others), max_size=12))
def test_the_decisions_on_each_key_are_those_that_the_fold_counted(
    events: list[object],
) -> None:
    state = ShardState(1)
    for offset, event in enumerate(events):
        value = encode(event)  # type: ignore[arg-type] # each is a record
        record = Record(offset, 10_000, USER.encode(), value)
        before = state.open(BALANCES_RAW, USER.encode())
        batch = fold_batch(state, [(BALANCES_RAW, [record])], settings=FoldSettings())
        said = _read(value)
        decided = [
            decision_on(key(token), said, before, batch)
            for token in (ALPHA, BETA, STX, ALPHA_SUBNET)
        ]
        counted = Counter(
            {
                Decision(name.partition(".")[2]): count
                for name, count in batch.decisions.items()
            }
        )
        found = Counter(what for what in decided if what is not None)
        if isinstance(said, AccountRead) and not counted.keys() & {
            Decision.DUPLICATE,
            Decision.REJECTED,
        }:
            # One is counted for a reading that has nothing to decide on.
            assert found in (counted, Counter())
        else:
            assert found.keys() <= counted.keys()
        batch.apply()
