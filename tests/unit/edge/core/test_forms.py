"""What the features of a client add to its messages."""

import json

from edge.core.forms import (
    BASE,
    EVENTS,
    Form,
    framed,
    numbered,
    sealed,
    with_cursor,
    with_field,
)
from tests.support.edge_table import heard, messages


def test_who_counts_shares_what_is_counted() -> None:
    assert Form(exact=True, seq=True).shared == Form(exact=True)
    assert Form(resume=True, seq=True).shared == Form(resume=True)
    assert BASE.shared == BASE == Form()
    assert EVENTS.shared == EVENTS


def test_events_are_worded_as_the_base_protocol() -> None:
    assert EVENTS.wording == BASE
    assert Form(exact=True, resume=True, seq=True).wording == Form(True, True)
    assert [EVENTS.resumes, Form(resume=True).resumes, BASE.resumes] == [1, 1, 0]


def test_a_field_is_added_at_the_end() -> None:
    assert with_field(b'{"a":1}', b'"b":2') == b'{"a":1,"b":2}'


def test_the_last_message_of_a_write_has_the_cursor() -> None:
    made = with_cursor([b'{"a":1}', b'{"a":2}'], b"1.x")
    assert [json.loads(each) for each in made] == [{"a": 1}, {"a": 2, "cursor": "1.x"}]


def test_numbers_go_on_from_the_last() -> None:
    made = numbered([b'{"a":1}', b'{"a":2}'], after=8)
    assert made == [b'{"seq":9,"a":1}', b'{"seq":10,"a":2}']
    assert messages(framed(made)) == made
    assert [each["seq"] for each in heard([framed(made)])] == [9, 10]


def test_a_write_is_sealed_in_its_form() -> None:
    said = [b'{"a":1}', b'{"a":2}']
    assert messages(sealed(said, BASE, None)) == said
    assert messages(sealed(said, Form(resume=True), b"1.x")) == with_cursor(
        said, b"1.x"
    )
    assert sealed(said, EVENTS, b"1.x").count(b"id: 1.x\ndata: ") == 1
    for form in (BASE, EVENTS):
        assert sealed([], form, b"1.x") == b""
