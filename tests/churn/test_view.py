"""The measure itself: what may be heard after what, and what must be held."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.churn.history import History, Key
from tests.churn.view import Asked, Cover, View

_A = Key("a")
_ALL = Cover(everything=True)


def a_view(*, cover: Cover = _ALL) -> View:
    """Return a client's view of a key that was 1, 2 and 3, at offsets 0, 1 and 2."""
    history = History()
    for offset in range(3):
        history.put(_A)
        history.appended(_A, offset)
    return View(history, prices=True, cover=cover)


def price(value: int, **fields: Any) -> dict[str, Any]:
    return {"type": "PRICE_UPDATE", "contractId": "a", "price": value, **fields}


@pytest.mark.parametrize(
    ("values", "is_true"),
    [
        ((1, 2, 3), True),
        ((1, 3), True),
        ((3,), True),
        ((2, 1), False),
        ((2, 2), False),
        ((4,), False),
    ],
)
def test_values_come_in_order_and_once(values: tuple[int, ...], is_true: bool) -> None:
    view = a_view()
    for value in values:
        view.take(price(value))
    assert (view.flaws == []) is is_true


def test_an_answer_may_repeat_what_is_known() -> None:
    view = a_view()
    view.take(price(2))
    view.asks(Asked(1, _ALL, repeats=True))
    view.take(price(2))
    view.pong(1)
    assert view.flaws == []
    view.take(price(2))
    assert view.flaws


@pytest.mark.parametrize(("floor", "is_true"), [({_A: 1}, True), ({_A: 2}, False)])
def test_an_answer_since_a_cursor_repeats_nothing_that_it_had(
    floor: Mapping[Key, int], is_true: bool
) -> None:
    view = a_view()
    view.asks(Asked(1, _ALL, repeats=True, floor=floor))
    view.take(price(2))
    assert (view.flaws == []) is is_true


def test_what_was_unsubscribed_does_not_come_any_more() -> None:
    view = a_view()
    view.asks(Asked(1, Cover()))
    view.take(price(1))
    assert view.flaws == []
    view.pong(1)
    view.take(price(2))
    assert view.flaws


def test_what_went_between_unsubscribing_and_subscribing_again_is_not_told() -> None:
    view = a_view()
    view.take(price(3))
    view.asks(Asked(1, Cover(), forgets=True))
    view.asks(Asked(2, _ALL, repeats=True))
    view.history.withdraw(_A)
    view.history.appended(_A, 3)
    view.pong(1)
    view.pong(2)
    view.take(price(0, cursor="2.x.0.4-4.0") | {"type": "HEARTBEAT"})
    assert view.flaws == view.lacks(told=True) == []


@pytest.mark.parametrize(("end", "is_true"), [("2", True), ("3", False)])
def test_a_cursor_comes_after_all_that_it_covers(end: str, is_true: bool) -> None:
    view = a_view()
    view.take(price(2, cursor=f"2.x.0.{end}-{end}.0"))
    assert (view.flaws == []) is is_true


def test_at_the_end_the_newest_value_is_held() -> None:
    view = a_view()
    view.take(price(2))
    assert view.lacks(told=True)
    view.take(price(3))
    assert view.lacks(told=True) == []


def test_numbers_are_without_a_hole() -> None:
    view = a_view()
    view.take(price(1, seq=1))
    view.take(price(2, seq=3))
    assert view.flaws == ["numbered 3 instead of 2"]
