"""What waits for a slow reader is bounded, in order, and ends with the newest."""

from hypothesis import given
from hypothesis import strategies as st

from stacks_feed_client.core.mailbox import Mailbox
from stacks_feed_client.core.values import Update

keys = st.sampled_from("abc")


def drained(mailbox: Mailbox[str, int]) -> list[Update[str, int]]:
    found = []
    while (update := mailbox.pop()) is not None:
        found.append(update)
    return found


@given(st.lists(keys), st.integers(0, 5))
def test_of_each_key_the_newest_comes_last_and_the_rest_in_order(
    came: list[str], limit: int
) -> None:
    mailbox: Mailbox[str, int] = Mailbox(limit=limit)
    kept = [not mailbox.put(Update(key, at)) for at, key in enumerate(came)]
    assert len(mailbox) <= limit + len(set(came))
    assert mailbox.conflated == kept.count(False)
    heard = drained(mailbox)
    for key in set(came):
        values = [update.value or 0 for update in heard if update.key == key]
        assert values == sorted(values)
        assert values[-1] == max(at for at, each in enumerate(came) if each == key)


@given(st.lists(keys | st.none()))
def test_a_reader_that_keeps_up_misses_nothing(steps: list[str | None]) -> None:
    mailbox: Mailbox[str, int] = Mailbox(limit=len(steps))
    put, got = [], []
    for at, step in enumerate(steps):
        if step is not None:
            put.append(Update(step, at))
            mailbox.put(put[-1])
        elif (update := mailbox.pop()) is not None:
            got.append(update)
    assert got + drained(mailbox) == put
    assert mailbox.conflated == 0
