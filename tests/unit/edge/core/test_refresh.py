from edge.core.refresh import RefreshGate
from schemas.demand import RefreshKind

PRICES, BALANCES = RefreshKind.PRICES, RefreshKind.BALANCES


def test_nothing_is_due_until_somebody_asks() -> None:
    gate = RefreshGate(interval_s=10)
    assert gate.due(now_s=0) == []
    assert gate.wait_s(now_s=0) is None


def test_the_first_request_goes_at_once() -> None:
    gate = RefreshGate(interval_s=10)
    gate.ask(PRICES)
    assert gate.wait_s(now_s=5) == 0
    assert gate.due(now_s=5) == [PRICES]


def test_requests_within_the_interval_become_one_at_its_end() -> None:
    gate = RefreshGate(interval_s=10)
    gate.ask(PRICES)
    gate.served([PRICES], now_s=0)
    gate.ask(PRICES)
    gate.ask(PRICES)
    assert gate.due(now_s=9) == []
    assert gate.wait_s(now_s=9) == 1
    assert gate.due(now_s=10) == [PRICES]
    gate.served([PRICES], now_s=10)
    assert gate.wait_s(now_s=10) is None


def test_the_kinds_do_not_wait_for_one_another() -> None:
    gate = RefreshGate(interval_s=10)
    gate.ask(PRICES)
    gate.served([PRICES], now_s=0)
    gate.ask(PRICES)
    gate.ask(BALANCES)
    assert gate.due(now_s=1) == [BALANCES]
    assert gate.wait_s(now_s=1) == 0


def test_what_could_not_be_written_is_still_due() -> None:
    gate = RefreshGate(interval_s=10)
    gate.ask(BALANCES)
    assert gate.due(now_s=0) == gate.due(now_s=1) == [BALANCES]
