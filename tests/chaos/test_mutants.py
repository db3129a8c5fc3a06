"""Each protection, taken out, is missed: the judgement finds the damage."""

from collections.abc import Awaitable, Callable

import pytest

from tests.chaos.mutants import MUTANTS
from tests.chaos.trial import (
    STUCK,
    Arena,
    Trial,
    dead_after_commit,
    play,
    refused_send,
    slow_restore,
    zombie,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

Scene = Callable[[Trial], Awaitable[None]]
ON_A_BROKER: list[tuple[Scene, str]] = [
    (refused_send, "unawaited-sends"),
    (refused_send, "early-overlay"),
    (slow_restore, "no-barrier"),
    (zombie, "no-fence"),
]
IN_A_FILE: list[tuple[Scene, str]] = [
    (zombie, "no-fence"),
    (dead_after_commit, "position-before"),
    (dead_after_commit, "position-after"),
]


# The other is played without a mutant in `test_zombie.py`.
STILL_TO_PLAY: list[Scene] = [dead_after_commit]


def _scenes(cases: list[tuple[Scene, str]]) -> list[Scene]:
    return list(dict.fromkeys(scene for scene, _ in cases))


@pytest.mark.broker
@pytest.mark.parametrize("scene", _scenes(ON_A_BROKER))
async def test_the_processor_comes_through_on_a_broker(
    broker_arena: Arena, scene: Scene
) -> None:
    found = await play(broker_arena, scene)
    assert found.is_ok, found.findings


@pytest.mark.broker
@pytest.mark.parametrize(("scene", "mutant"), ON_A_BROKER)
async def test_a_mutant_is_caught_on_a_broker(
    broker_arena: Arena, scene: Scene, mutant: str
) -> None:
    found = await play(broker_arena, scene, mutant)
    # Damage that is seen, not a scene that came to nothing.
    assert set(found.findings) - {STUCK}


@pytest.mark.parametrize("scene", STILL_TO_PLAY)
async def test_the_processor_comes_through_in_a_file(
    file_arena: Arena, scene: Scene
) -> None:
    found = await play(file_arena, scene)
    assert found.is_ok, found.findings


@pytest.mark.parametrize(("scene", "mutant"), IN_A_FILE)
async def test_a_mutant_is_caught_in_a_file(
    file_arena: Arena, scene: Scene, mutant: str
) -> None:
    found = await play(file_arena, scene, mutant)
    # Damage that is seen, not a scene that came to nothing.
    assert set(found.findings) - {STUCK}


def test_every_mutant_has_a_scene() -> None:
    assert {mutant for _, mutant in [*ON_A_BROKER, *IN_A_FILE]} == set(MUTANTS)
