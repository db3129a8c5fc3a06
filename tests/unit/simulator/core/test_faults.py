"""Faults: which one strikes, how often, and what it does."""

import json

import pytest

from simulator.core.faults import (
    HTTP_KINDS,
    NOTIFY_KINDS,
    Fault,
    FaultPlan,
    Kind,
    inflated,
    reply,
    wrong_types,
)

BALANCES = "/extended/v1/address/SP1/balances"


@pytest.mark.parametrize(
    ("fault", "strikes"),
    [
        pytest.param(Fault("hiro", Kind.ERROR), True, id="upstream"),
        pytest.param(Fault("*", Kind.ERROR), True, id="any upstream"),
        pytest.param(Fault("kraxel", Kind.ERROR), False, id="other upstream"),
        pytest.param(Fault("hiro", Kind.ERROR, "*/v1/*"), True, id="glob"),
        pytest.param(Fault("hiro", Kind.ERROR, "*/v2/*"), False, id="other path"),
        pytest.param(Fault("hiro", Kind.OKAY_FALSE), False, id="call-read only"),
        pytest.param(Fault("hiro", Kind.MUTE), False, id="push only"),
    ],
)
def test_a_fault_strikes_where_it_is_meant_to(fault: Fault, strikes: bool) -> None:
    struck, _ = FaultPlan((fault,)).decide("hiro", BALANCES, HTTP_KINDS)
    assert (struck is fault) is strikes


def test_a_counted_fault_is_used_up_and_an_uncounted_one_stays() -> None:
    twice, ever = Fault("hiro", Kind.GONE, count=2), Fault("*", Kind.ERROR)
    plan, kinds = FaultPlan((twice, ever)), []
    for _ in range(4):
        struck, plan = plan.decide("hiro", "/", HTTP_KINDS)
        assert struck is not None
        kinds.append(struck.kind)
    assert kinds == [Kind.GONE, Kind.GONE, Kind.ERROR, Kind.ERROR]
    assert plan.armed == (ever,)


def test_a_failing_call_strikes_calls_alone() -> None:
    plan = FaultPlan((Fault("hiro", Kind.OKAY_FALSE),))
    path = "/v2/contracts/call-read/SP1/c/get-balance"
    assert plan.decide("hiro", path, HTTP_KINDS)[0] is not None
    assert plan.decide("hiro", path, NOTIFY_KINDS)[0] is None


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (Kind.TOO_MANY, 429),
        (Kind.ERROR, 500),
        (Kind.BAD_GATEWAY, 502),
        (Kind.UNAVAILABLE, 503),
        (Kind.GONE, 410),
        (Kind.HTML, 200),
        (Kind.MALFORMED, 200),
        (Kind.OKAY_FALSE, 200),
    ],
)
def test_a_fault_that_answers_has_its_status(kind: Kind, status: int) -> None:
    whole = reply(Fault("hiro", kind))
    assert whole is not None
    assert whole.status == status


@pytest.mark.parametrize("kind", [Kind.SLOW, Kind.TIMEOUT, Kind.TRUNCATE, Kind.MUTE])
def test_other_faults_leave_the_answer_to_the_server(kind: Kind) -> None:
    assert reply(Fault("hiro", kind)) is None


def test_retry_after_is_sent_as_it_was_given_or_not_at_all() -> None:
    with_it = reply(Fault("hiro", Kind.TOO_MANY, retry_after="soon"))
    without = reply(Fault("hiro", Kind.TOO_MANY))
    assert with_it is not None
    assert without is not None
    assert with_it.headers == {"Retry-After": "soon"}
    assert without.headers == {}


def test_error_bodies_have_the_fields_of_their_generation() -> None:
    bodies = {kind: reply(Fault("hiro", kind)) for kind in (Kind.ERROR, Kind.GONE)}
    fields = {kind: set(json.loads(it.body)) for kind, it in bodies.items() if it}
    assert fields[Kind.ERROR] == {"error", "stack", "errorTag"}
    assert fields[Kind.GONE] == {"error", "message"}


def test_wrong_types_keep_every_field_and_no_type() -> None:
    body = {"a": "12", "b": [1, None, True], "c": {"d": 1.5}}
    assert wrong_types(body) == {
        "a": [2],
        "b": [{"value": "1"}, False, {"value": "True"}],
        "c": {"d": {"value": "1.5"}},
    }


def test_inflated_prices_are_a_million_times_too_high_and_nothing_else_is() -> None:
    rows = [
        {"contract_id": "SP1.a", "decimals": 6, "metrics": {"price_usd": 0.5}},
        {"tokenId": ".stx", "usdPrice": 1.5, "confidence": 0.9, "note": None},
    ]
    assert inflated({"data": rows}) == {
        "data": [
            {"contract_id": "SP1.a", "decimals": 6, "metrics": {"price_usd": 500_000}},
            {"tokenId": ".stx", "usdPrice": 1_500_000, "confidence": 0.9, "note": None},
        ]
    }
    assert inflated({"stx": 2.0, "SP1.a": 0.5}) == {"stx": 2e6, "SP1.a": 5e5}
