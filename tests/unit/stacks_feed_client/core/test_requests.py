"""Which answers have come, and what that makes of the cursors between them."""

from stacks_feed_client.core.requests import Request, Requests
from stacks_feed_client.core.standing import Standing

A, B, AB = frozenset("a"), frozenset("b"), frozenset("ab")


def some(*requests: Request, acks: bool = True) -> tuple[Standing, Requests]:
    standing = Standing(wanted=AB)
    made = Requests(standing, acks=acks)
    for request in requests:
        made.add(request)
    return standing, made


def how_far(standing: Standing) -> tuple[str | None, frozenset[str]]:
    return standing.cursor, standing.covered


def test_a_cursor_counts_once_the_answer_is_whole() -> None:
    standing, requests = some(Request(1, A))
    requests.subscribed(resumed=False)
    requests.take("1")
    assert how_far(standing) == (None, frozenset())
    assert [each.number for each in requests.whole(1)] == [1]
    assert how_far(standing) == ("1", A)
    assert requests.is_empty


def test_a_cursor_from_before_the_answer_says_nothing_of_its_ids() -> None:
    standing, requests = some(Request(1, A), Request(2, B))
    requests.subscribed(resumed=False)
    requests.take("1")
    requests.subscribed(resumed=False)
    requests.whole(2)
    assert how_far(standing) == ("1", A)


def test_where_only_what_changed_follows_every_cursor_counts_at_once() -> None:
    standing, requests = some(Request(1, A, since="0"))
    requests.subscribed(resumed=True)
    requests.take("1")
    assert how_far(standing) == ("1", A)


def test_an_unsubscribed_id_is_in_no_cursor_from_then_on() -> None:
    standing, requests = some(Request(1, AB), Request(2, AB))
    requests.subscribed(resumed=True)
    requests.drop(A)
    requests.take("1")
    requests.whole(1)
    assert standing.covered == B
    (rest,) = requests.whole(2)
    assert rest.members == B


def test_what_becomes_of_a_cursor_is_announced_even_without_acks() -> None:
    _, requests = some(Request(1, A), Request(2, B, since="0"), acks=False)
    heard = requests.subscribed(resumed=True)
    assert heard is not None
    assert heard.number == 2
    assert requests.subscribed(resumed=True) is None


def test_a_request_that_was_not_understood_covers_nothing() -> None:
    standing, requests = some(Request(1, A, since="0"))
    (refused,) = requests.whole(1)
    assert refused.is_refused
    requests.take("1")
    assert standing.cursor is None


def test_where_an_answer_begins_is_told_by_the_ping_before_it() -> None:
    _, requests = some(Request(2, A, begins=1), acks=False)
    assert requests.begun(2) is None
    begun = requests.begun(1)
    assert begun is not None
    assert begun.number == 2
    assert requests.whole(1) == []
