"""Headers as bytes: a law."""

from hypothesis import given
from hypothesis import strategies as st

from eventlog.sqlite.headers import decode, encode

names = st.text(st.characters(codec="utf-8"))


@given(st.lists(st.tuples(names, st.binary())).map(tuple))
def test_headers_come_back_as_they_went(headers: tuple[tuple[str, bytes], ...]) -> None:
    assert decode(encode(headers)) == headers
