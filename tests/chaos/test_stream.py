"""What the writer says."""

from collections import Counter

from tests.chaos.stream import Stream
from tests.support.pipeline import tell

START_MS = 1_790_000_000_000


def test_a_batch_follows_from_its_number_alone() -> None:
    straight = Stream(3, start_ms=START_MS)
    said = [straight.batch(number) for number in range(60)]
    assert Stream(3, start_ms=START_MS).batch(59) == said[59]
    assert Stream(4, start_ms=START_MS).batch(59) != said[59]


def test_a_second_holds_two_thousand_observations() -> None:
    stream = Stream(3, start_ms=START_MS)
    assert sum(len(stream.batch(number)) for number in range(10)) >= 2_000


def test_the_stream_meets_every_decision_and_every_reason() -> None:
    stream = Stream(3, start_ms=START_MS)
    told = tell([record for number in range(60) for record in stream.batch(number)])
    decisions = sum((d.decisions for d in told.derived.values()), Counter[str]())
    kinds = ("published", "unchanged", "duplicate", "stale", "rejected")
    wanted = {
        f"{topic}.{kind}"
        for topic in ("prices", "balances", "tokens")
        for kind in kinds
    }
    assert wanted | {"balances.suspect"} <= set(decisions)
    reasons = Counter(
        value.split(b'"reason":"')[1].split(b'"')[0]
        for derived in told.derived.values()
        for _, value in derived.rejects
    )
    assert {b"schema", b"future", b"conflict", b"unknown-reading", b"full"} == set(
        reasons
    )
