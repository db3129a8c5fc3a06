"""An owner that sleeps through its own replacement and wakes."""

from functools import partial

import pytest

from tests.chaos.trial import Arena, play, zombie

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]


@pytest.mark.broker
async def test_nothing_of_a_transaction_that_slept_is_ever_visible(
    broker_arena: Arena,
) -> None:
    """It sleeps with every record acknowledged and only the commit to be said."""
    found = await play(broker_arena, partial(zombie, point="stop-in-transaction"))
    assert found.is_ok, found.findings


async def test_nothing_of_an_owner_that_slept_is_ever_visible_in_a_file(
    file_arena: Arena,
) -> None:
    """It sleeps with the commit in its hands: one inside the file would stop all."""
    found = await play(file_arena, zombie)
    assert found.is_ok, found.findings
