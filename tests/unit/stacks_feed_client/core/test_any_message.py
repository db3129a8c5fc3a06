"""Whatever a server says, a client takes it, counts it or leaves: nothing raises."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks_feed_client.core.itinerary import Itinerary
from stacks_feed_client.core.machine import Lost, Machine
from stacks_feed_client.core.party import BALANCES, PRICES
from stacks_feed_client.core.writing import FEATURES

PRICE = {
    "type": "PRICE_UPDATE",
    "contractId": ".stx",
    "price": "0.5",
    "timestamp": 1,
    "source": "api",
    "version": 1,
    "cursor": "c1",
}
BALANCE: dict[str, Any] = {
    "type": "BALANCE_UPDATE",
    "userId": "SPA",
    "contractId": "SPA.cha",
    "balance": "5",
    "totalSent": "1",
    "totalReceived": "6",
    "formattedBalance": "0.000005",
    "subnets": [{"contractId": "SPA.s", "balance": "1", "formattedBalance": "1"}],
    "subnetBalance": 1,
    "formattedSubnetBalance": 1,
    "subnetContractId": "SPA.s",
    "metadata": {"symbol": "CHA", "decimals": 6, "name": "", "price": 0.25},
    "timestamp": 1,
    "source": "hiro-api",
    "version": 3,
}
# Every message that a server has, with every field that a client reads.
MESSAGES: list[dict[str, Any]] = [
    PRICE,
    {"type": "PRICE_BATCH", "prices": [PRICE]},
    BALANCE,
    {"type": "BALANCE_BATCH", "balances": [BALANCE]},
    {"type": "WELCOME", "features": [*FEATURES], "heartbeatMs": 5_000},
    {"type": "REMOVED", "userId": "SPA", "contractId": ".stx"},
    {
        "type": "SUBSCRIBED",
        "recovered": False,
        "ignored": [{"id": "x", "why": "invalid"}],
        "cursor": "c2",
    },
    {"type": "PONG", "timestamp": 1},
    {
        "type": "HEARTBEAT",
        "stale": True,
        "watermarks": [1, 2],
        "observed": {"prices": 1, "balances": 1, "tokens": 1},
        "oldPrices": {"count": 1, "quotedAt": {".stx": 1}},
        "timestamp": 2,
    },
    {"type": "SHUTDOWN", "reconnectInMs": 2_000},
    {"type": "ERROR", "message": "Too many messages", "code": "rate"},
]
ODD: list[Any] = [
    None,
    True,
    10**4_000,
    -(10**4_000),
    10**400,
    2**63,
    -1,
    0,
    1e308,
    0.5,
    "",
    "\ud800",
    "1e999999999",
    "-1e-999999999",
    "NaN",
    "9" * 5_000,
    [],
    [[]],
    [None, 1, {}],
    {},
    {"id": {}, "prices": []},
]
_json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(ODD),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


def _places(
    value: object, path: tuple[str | int, ...] = ()
) -> list[tuple[str | int, ...]]:
    """Return where in a message something may stand."""
    found = [path] if path else []
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value if isinstance(value, list) else [])
    )
    for key, each in inner:
        found += _places(each, (*path, key))
    return found


@st.composite
def _messages(draw: st.DrawFn) -> dict[str, Any]:
    """Return a message, as it should be but for some fields."""
    message: dict[str, Any] = json.loads(json.dumps(draw(st.sampled_from(MESSAGES))))
    places = st.sampled_from(_places(message))
    for path in draw(st.lists(places, max_size=2)):
        _put(message, path, draw(_json_values))
    return message


def _put(inner: Any, path: tuple[Any, ...], value: object) -> None:
    """Replace what stands at a place, unless the place is gone with an earlier change."""
    key, *rest = path
    places = range(len(inner)) if isinstance(inner, list) else inner
    if not isinstance(inner, dict | list) or key not in places:
        return
    if rest:
        _put(inner[key], (*rest,), value)
    else:
        inner[key] = value


def _hears_all(party: Any, features: list[str], said: list[Any], lost: Lost) -> None:
    """Let a client hear messages on two connections, and do all that it does then."""
    machine: Machine[Any, Any] = Machine(party, Itinerary(["ws://a", "ws://b"]))
    machine.want(frozenset({"SPA", ".stx"}))
    welcome = {"type": "WELCOME", "features": features, "heartbeatMs": 5_000}
    for _ in range(2):
        machine.opened(now_s=0.0)
        for number, message in enumerate([welcome, *said]):
            is_object = isinstance(message, dict)
            numbered = {"seq": number, **message} if is_object else message
            effects = machine.received(json.dumps(numbered), now_s=1.0)
            assert effects.error is None, (effects.error, str(message)[:500])
            while machine.next_text(now_s=1_000.0 + number) is not None:
                pass
        assert machine.tick(now_s=2.0).error is None
        wait_s = machine.lost(lost, now_s=3.0, draw=0.5)
        assert wait_s is None or 0 <= wait_s <= 300
    assert machine.books.counts.unusable == 0


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message["type"])
@pytest.mark.parametrize("party", [PRICES, BALANCES], ids=lambda party: party.name)
def test_nothing_in_any_field_of_a_message_ends_a_feed(
    message: dict[str, Any], party: Any
) -> None:
    for path in _places(message):
        for odd in ODD:
            changed = json.loads(json.dumps(message))
            _put(changed, path, odd)
            _hears_all(party, [*FEATURES], [changed], Lost("closed"))
    # Instead of the greeting, too.
    for odd in ODD:
        _hears_all(party, odd, [message | {"heartbeatMs": odd}], Lost("closed"))


@given(
    party=st.sampled_from([PRICES, BALANCES]),
    features=st.lists(st.sampled_from(FEATURES)),
    said=st.lists(_messages() | _json_values, max_size=6),
    code=st.sampled_from([None, 1008, 1012]),
)
def test_no_message_ends_a_feed(
    party: Any, features: list[str], said: list[Any], code: int | None
) -> None:
    _hears_all(party, features, said, Lost("closed", code=code))
