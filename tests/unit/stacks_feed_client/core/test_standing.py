"""How far a client is, and when that may be said anew."""

from stacks_feed_client.core.standing import Standing

A, B, AB = frozenset("a"), frozenset("b"), frozenset("ab")


def test_a_cursor_is_taken_with_what_it_covers_of_what_is_wanted() -> None:
    standing = Standing(wanted=A)
    standing.advance("1", AB)
    assert (standing.cursor, standing.covered) == ("1", A)


def test_a_cursor_that_covers_less_does_not_replace_one_that_covers_more() -> None:
    standing = Standing(wanted=AB)
    standing.advance("1", AB)
    standing.advance("2", A)
    assert (standing.cursor, standing.covered) == ("1", AB)
    standing.advance("3", AB)
    assert standing.cursor == "3"


def test_a_cursor_that_covers_nothing_is_none() -> None:
    standing = Standing(wanted=A)
    standing.advance("1", B)
    assert standing.cursor is None


def test_what_is_not_wanted_any_more_is_not_gone_on_from() -> None:
    standing = Standing(wanted=AB, complete=AB)
    standing.advance("1", AB)
    standing.want(A)
    standing.want(AB)
    assert standing.covered == standing.complete == A


def test_what_is_void_must_be_asked_for_anew() -> None:
    standing = Standing(wanted=AB)
    standing.advance("1", AB)
    standing.void(A)
    assert standing.covered == B


def test_a_later_cursor_of_the_same_ids_is_taken_while_nothing_changed() -> None:
    standing = Standing(wanted=AB)
    given = standing.advance("1", AB)
    assert standing.renew("2", given)
    standing.want(AB)
    assert not standing.renew("3", given)
    assert standing.cursor == "2"
