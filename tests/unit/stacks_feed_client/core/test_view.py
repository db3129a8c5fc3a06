"""The folded table: what is newer stays, what is in doubt must be heard again."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from stacks_feed_client.core.ids import EVERYTHING, NOTHING
from stacks_feed_client.core.party import BALANCES, PRICES
from stacks_feed_client.core.values import BalanceKey, Price, Update
from stacks_feed_client.core.view import View
from tests.support.client_talk import a_balance, a_price

STX = frozenset({".stx"})


def a_view(*values: Price) -> View[str, Price]:
    view = View(PRICES)
    for value in values:
        view.take(value)
    return view


@given(st.lists(st.integers(1, 9)))
def test_versions_only_grow_whatever_comes_in_whatever_order(came: list[int]) -> None:
    view = View(PRICES)
    news = [view.take(a_price(version=version)) for version in came]
    told = [u.value.version for u in news if u is not None and u.value is not None]
    assert told == sorted(set(told), key=lambda version: version or 0)
    assert len(told) + view.repeats == len(came)
    if came:
        assert view.values[".stx"].version == max(came)


def test_without_versions_what_comes_last_is_believed_and_a_repeat_is_none() -> None:
    view = a_view(a_price("2"))
    assert view.take(a_price("2")) is None
    assert view.take(a_price("1")) == Update(".stx", a_price("1"))
    assert view.repeats == 1


def test_what_is_removed_is_forgotten_with_its_version() -> None:
    view = a_view(a_price(version=9))
    assert view.remove(".stx") == Update(".stx", None)
    assert view.remove(".stx") is None
    assert view.take(a_price(version=1)) is not None


def test_what_is_in_doubt_gives_way_to_any_version() -> None:
    view = a_view(a_price("9", version=9))
    assert view.doubt(STX, request=1, named=STX)
    assert view.values[".stx"].price == Decimal(9)
    assert view.take(a_price("1", version=1)) == Update(".stx", a_price("1", version=1))
    assert list(view.settle(1)) == []


def test_what_is_in_doubt_and_heard_again_is_no_news() -> None:
    view = a_view(a_price(version=9))
    view.doubt(EVERYTHING, request=1, named=EVERYTHING)
    assert view.take(a_price(version=9)) is None
    assert list(view.settle(1)) == []
    assert set(view.values) == {".stx"}


def test_what_is_in_doubt_and_not_heard_again_is_removed_by_its_own_answer() -> None:
    view = a_view(a_price(version=9))
    view.doubt(STX, request=2, named=STX)
    assert list(view.settle(1)) == []
    assert list(view.settle(2)) == [Update(".stx", None)]
    assert view.values == {}


def test_the_answer_to_all_does_not_speak_of_those_named_beside_it() -> None:
    view = a_view(a_price(version=9))
    assert not view.doubt(EVERYTHING, request=1, named=EVERYTHING | STX)
    assert list(view.settle(1)) == []


def test_what_nobody_wants_any_more_is_forgotten_untold() -> None:
    view = a_view(a_price(version=9))
    view.doubt(STX, request=1, named=STX)
    view.keep(STX)
    assert view.of(STX) == {".stx": a_price(version=9)}
    view.keep(NOTHING)
    assert view.values == {}
    assert list(view.settle(1)) == []


def test_balances_are_found_by_their_user() -> None:
    view = View(BALANCES)
    view.take(a_balance())
    assert view.of(frozenset({"SPA"})).keys() == {BalanceKey("SPA", "SPA.cha")}
    assert view.of(frozenset({"SPB"})) == {}
