"""Frames of the push: hints and a pulse, never data."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core.normalize.body import Unusable
from ingest.core.normalize.push import (
    Hint,
    Pulse,
    Subscribed,
    SubscriptionRefused,
    frame,
    subscriptions,
)
from schemas.ids import UserId
from tests.support.shared_data import shared_data

ANN = UserId("SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS")


def test_a_connection_asks_for_blocks_and_for_one_address() -> None:
    first, second = (json.loads(text) for text in subscriptions(ANN))
    assert first["params"] == {"event": "block"}
    assert second["params"] == {"event": "address_balance_update", "address": ANN}
    assert [first["id"], second["id"]] == [1, 2]
    assert {first["method"], second["method"]} == {"subscribe"}


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ({"method": "block", "params": {"height": 1}}, Pulse()),
        ({"method": "address_balance_update", "params": {"address": ANN}}, Hint(ANN)),
        ({"id": 2, "result": {"address": ANN}}, Subscribed(2)),
        (
            {"id": 2, "error": {"code": -32602, "data": "x"}},
            SubscriptionRefused(2, -32602),
        ),
    ],
)
def test_frames_we_use(said: dict[str, Any], read: object) -> None:
    assert frame(json.dumps({"jsonrpc": "2.0", **said})) == read


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "\ud800",
        b"\xff",
        '{"method": "mempool", "params": {}}',
        '{"method": "address_balance_update", "params": {"address": 5}}',
        '{"method": "address_balance_update"}',
        '{"id": null, "error": {"code": -32700}}',
        '{"id": 1, "error": "no"}',
    ],
)
def test_all_else_is_unusable(text: str | bytes) -> None:
    assert isinstance(frame(text), Unusable)


def test_the_recorded_frames_are_read() -> None:
    recorded = json.loads(shared_data("hiro/ws_messages.json").read_text())
    for response in recorded["responses"]:
        assert frame(json.dumps(response)) == Subscribed(response["id"])
    for row in recorded["notifications"]:
        said = row["frame"]
        found = frame(json.dumps(said))
        if said["method"] == "block":
            assert found == Pulse()
        if said["method"] == "address_balance_update":
            assert found == Hint(said["params"]["address"])


@given(st.text() | st.binary())
def test_no_frame_makes_it_raise(text: str | bytes) -> None:
    frame(text)
