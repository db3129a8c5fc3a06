"""How a feed stands."""

from stacks_feed_client.core.status import Counts, State, Status


def test_a_status_is_a_value() -> None:
    assert Status(State.LIVE, "ws://a") == Status(State.LIVE, "ws://a", None, None)


def test_counts_begin_at_nothing() -> None:
    assert Counts() == Counts(0, 0, 0, 0, 0, 0)
