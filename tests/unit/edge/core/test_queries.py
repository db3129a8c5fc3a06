"""The query of a request: lists as clients write them, and what is refused."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.queries import BadQuery, Query, read_query
from schemas.wire import Party


def read(
    text: str,
    party: Party = "prices",
    *,
    strict: bool = True,
    events: bool = False,
    most_ids: int = 0,
) -> Query | BadQuery:
    pairs = parse_qsl(text, keep_blank_values=True)
    return read_query(pairs, party, strict=strict, events=events, most_ids=most_ids)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", None),
        ("tokens=", ()),
        ("tokens", ()),
        ("tokens=a", ("a",)),
        ("tokens=a,b", ("a", "b")),
        ("tokens=a, b", ("a", "b")),
        ("tokens=a&tokens=b", ("a", "b")),
        ("tokens=a,b&tokens=c", ("a", "b", "c")),
        ("tokens=&tokens=b", ("b",)),
        ("tokens[]=a&tokens[]=b", ("a", "b")),
        ("tokens%5B0%5D=a&tokens%5B1%5D=b", ("a", "b")),
    ],
)
def test_a_list_is_read_however_clients_write_it(
    text: str, ids: tuple[str, ...] | None
) -> None:
    assert read(text) == Query(ids)


def test_users_are_the_list_of_balances() -> None:
    assert read("users=a&users=b", "balances") == Query(("a", "b"))
    assert isinstance(read("tokens=a", "balances"), BadQuery)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("token=stx", "`token`; did you mean `tokens`? There are `tokens`, `since`."),
        ("Tokens=stx", "`Tokens`; did you mean `tokens`?"),
        ("tokens=a&sinse=x", "did you mean `since`?"),
        ("at=2026-11-30", "no parameter `at`. There are `tokens`, `since`."),
        ("tokens[a]=b", "`tokens[a]`; did you mean `tokens`?"),
        ("_pk=1", "no parameter `_pk`."),
        ("lastEventId=x", "no parameter `lastEventId`."),
        ("=x", "no parameter ``."),
    ],
)
def test_an_unknown_parameter_is_refused_with_the_nearest_name(
    text: str, said: str
) -> None:
    found = read(text)
    assert isinstance(found, BadQuery)
    assert found.error == "unknown-parameter"
    assert said in found.message


def test_clients_of_the_base_protocol_may_send_what_they_like() -> None:
    assert read("_pk=1&token=x&tokens[]=y&t=2", strict=False) == Query()
    assert read("_pk=1&tokens=x&_pk=2", strict=False) == Query(("x",))


@pytest.mark.parametrize("strict", [True, False])
def test_a_cursor_stands_there_once(strict: bool) -> None:
    assert read("since=a", strict=strict) == Query(None, "a")
    assert read("since=", strict=strict) == Query(None, "")
    for text, events in (
        ("since=a&since=a", False),
        ("lastEventId=&lastEventId=", True),
    ):
        found = read(text, strict=strict, events=events)
        assert isinstance(found, BadQuery)
        assert found.error == "repeated-parameter"


def test_a_stream_takes_the_cursor_that_polyfills_send() -> None:
    assert read("since=a&lastEventId=b", events=True) == Query(None, "b")
    assert read("since=a&lastEventId=b", strict=False) == Query(None, "a")


@pytest.mark.parametrize("text", ["tokens=a,b,c", "tokens=a,b&tokens=c"])
def test_ids_of_all_lists_are_counted_together(text: str) -> None:
    assert isinstance(read(text, most_ids=3), Query)
    found = read(text, most_ids=2)
    assert isinstance(found, BadQuery)
    assert found.error == "too-many-ids"


def test_a_long_or_unwritable_name_is_told_in_short() -> None:
    long = read_query([("x" * 10_000, "")], "prices", strict=True)
    assert isinstance(long, BadQuery)
    assert len(long.message) < 200
    strange = read_query([("\udcff", "")], "prices", strict=True)
    assert isinstance(strange, BadQuery)
    assert "`?`" in strange.message


@given(
    st.lists(st.tuples(st.text(), st.text())),
    st.booleans(),
    st.booleans(),
)
def test_nothing_that_a_client_sends_raises(
    pairs: list[tuple[str, str]], strict: bool, events: bool
) -> None:
    found = read_query(pairs, "balances", strict=strict, events=events, most_ids=3)
    assert isinstance(found, Query | BadQuery)
