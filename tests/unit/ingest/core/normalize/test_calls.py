"""Answers of read-only calls: only a whole unsigned integer is an amount."""

import json
from typing import Any

import pytest

from ingest.core.normalize.body import Unusable
from ingest.core.normalize.calls import called, decimals
from tests.support.shared_data import shared_data

NINE = "01" + "00" * 15 + "09"


def answer(said: Any) -> bytes:
    return json.dumps(said).encode()


@pytest.mark.parametrize("result", [f"0x07{NINE}", f"0x{NINE}"])
def test_an_amount_is_read_with_or_without_ok(result: str) -> None:
    assert called(answer({"okay": True, "result": result})) == 9


@pytest.mark.parametrize(
    ("said", "again"),
    [
        pytest.param({"okay": False, "cause": "Runtime(x)"}, True, id="runtime"),
        pytest.param(
            {"okay": False, "cause": 'Unchecked(NoSuchContract("x"))'}, True, id="none"
        ),
        pytest.param({"okay": False, "cause": "NotReadOnly"}, False, id="permanent"),
        pytest.param({"okay": False}, False, id="no cause"),
        pytest.param({"okay": False, "result": f"0x07{NINE}"}, False, id="okay first"),
        pytest.param({"okay": True, "result": f"0x08{NINE}"}, False, id="err"),
        pytest.param({"okay": True, "result": "0x03"}, False, id="bool"),
        pytest.param({"okay": True, "result": "0x0701"}, True, id="truncated"),
        pytest.param({"okay": True, "result": 9}, True, id="not a text"),
        pytest.param({"okay": True}, True, id="no result"),
        pytest.param({"okay": "true"}, True, id="wrong type"),
        pytest.param([], True, id="another shape"),
    ],
)
def test_everything_else_is_no_amount(said: Any, again: bool) -> None:
    found = called(answer(said))
    assert isinstance(found, Unusable)
    assert found.again is again


def test_decimals_are_at_most_38() -> None:
    def said(places: int) -> bytes:
        return answer({"okay": True, "result": f"0x0701{places:032x}"})

    assert decimals(said(0)) == 0
    assert decimals(said(38)) == 38
    assert isinstance(decimals(said(39)), Unusable)
    assert isinstance(decimals(b"?"), Unusable)


def test_the_recorded_balances_are_read_and_its_errors_are_not() -> None:
    vectors = json.loads(shared_data("vectors/clarity_vectors.json").read_text())
    for row in vectors["get_balance_results"]:
        found = called(answer({"okay": True, "result": row["result_hex"]}))
        wanted = int(row["amount"]) if row["outcome"] == "balance" else Unusable
        assert found == wanted or isinstance(found, Unusable), row["note"]


def test_the_recorded_bodies_of_the_node_are_read() -> None:
    folder = "hiro/stacks-core-rpc/read-only-function"
    success = shared_data(f"{folder}-success.example.json").read_bytes()
    failure = shared_data(f"{folder}-failure.example.json").read_bytes()
    assert isinstance(called(failure), Unusable)
    assert "the call failed" not in str(called(success))
