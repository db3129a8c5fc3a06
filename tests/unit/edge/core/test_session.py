"""What clients say, and what is made of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.frames import MAX_MESSAGE_BYTES
from edge.core.messages import BAD_FORMAT, pong
from edge.core.session import (
    UNKNOWN,
    Hello,
    ManualUpdate,
    Ping,
    Refused,
    Said,
    Subscribe,
    Unsubscribe,
    parse,
)

BAD = Refused(BAD_FORMAT, "bad-format")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"type":"SUBSCRIBE","contractIds":["a","b"]}', Subscribe(("a", "b"))),
        ('{"type":"SUBSCRIBE","contractIds":[]}', Subscribe(None)),
        ('{"type":"SUBSCRIBE","contractIds":null}', Subscribe(None)),
        ('{"type":"SUBSCRIBE"}', Subscribe(None)),
        ('{"type":"SUBSCRIBE","userIds":["a"]}', Subscribe(None)),
        ('{"type":"SUBSCRIBE","contractIds":[1,null]}', Subscribe((), ("1", "null"))),
        ('{"type":"SUBSCRIBE","contractIds":["a",{}]}', Subscribe(("a",), ("{}",))),
        (
            '{"type":"SUBSCRIBE","contractIds":["a"],"since":"1.2"}',
            Subscribe(("a",), since="1.2"),
        ),
        ('{"type":"SUBSCRIBE","since":null}', Subscribe(None)),
        ('{"type":"SUBSCRIBE","since":7}', Subscribe(None, since="")),
        ('{"type":"UNSUBSCRIBE","contractIds":[7]}', Unsubscribe((), ("7",))),
        ('{"type":"SUBSCRIBE","contractIds":"a"}', BAD),
        ('{"type":"SUBSCRIBE","contractIds":false}', BAD),
        ('{"type":"UNSUBSCRIBE","contractIds":["a"]}', Unsubscribe(("a",))),
        ('{"type":"UNSUBSCRIBE"}', Unsubscribe(None)),
        ('{"type":"UNSUBSCRIBE","contractIds":{}}', BAD),
        ('{"type":"PING"}', Ping(None)),
        ('{"type":"PING","timestamp":null}', Ping(b"null")),
        ('{"type":"PING","timestamp":[1, "\\ud800"]}', Ping(b'[1,"\\ud800"]')),
        ('{"type":"PING","timestamp":NaN}', BAD),
        ('{"type":"PING","timestamp":1e999}', Ping(b"1e999")),
        ('{"type":"PING","timestamp":-1E+400}', Ping(b"-1E+400")),
        ('{"type":"PING","timestamp":{"a":[1.50]}}', Ping(b'{"a":[1.50]}')),
        (f'{{"type":"PING","timestamp":{"9" * 5_000}}}', Ping(b"9" * 5_000)),
        ('{"type":"PING","timestamp":01}', BAD),
        ('{"type":"MANUAL_UPDATE","x":1}', ManualUpdate()),
        ('{"type":"HELLO"}', Hello((), ())),
        ('{"type":"HELLO","features":null}', BAD),
        (
            '{"type":"HELLO","features":["seq","x","ack","x",7,"seq"]}',
            Hello(("ack", "seq"), ("x", "7")),
        ),
        ('{"type":"REFRESH_METADATA"}', UNKNOWN),
        ('{"type":["SUBSCRIBE"]}', UNKNOWN),
        ("{}", UNKNOWN),
        ("[]", UNKNOWN),
        ("7", UNKNOWN),
        ("null", BAD),
        ("", BAD),
        ("{", BAD),
        (b'{"type":"PING"}', BAD),
        ("[" * 50_000, BAD),
        ("9" * 5_000, UNKNOWN),
    ],
)
def test_a_message_of_a_client(text: str | bytes, said: Said) -> None:
    assert parse(text, "prices") == said


def test_users_are_named_on_the_balances_party() -> None:
    assert parse('{"type":"SUBSCRIBE","userIds":["u"]}', "balances") == Subscribe(
        ("u",)
    )


def test_what_would_grow_too_long_is_not_sent_back() -> None:
    text = json.dumps({"type": "PING", "timestamp": "é" * 20_000}, ensure_ascii=False)
    assert parse(text, "prices") == BAD


@given(st.text() | st.binary())
def test_nothing_a_client_sends_raises(text: str | bytes) -> None:
    parse(text, "balances")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(json_values)
def test_a_ping_comes_back_with_the_same_value(value: object) -> None:
    said = parse(json.dumps({"type": "PING", "timestamp": value}), "prices")
    assert isinstance(said, Ping)
    answer = pong(said.timestamp)
    assert len(answer) <= MAX_MESSAGE_BYTES
    assert json.loads(answer) == {"type": "PONG", "timestamp": value}
