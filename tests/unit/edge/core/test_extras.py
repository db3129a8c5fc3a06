"""The messages of clients that said HELLO, held to their models."""

import json

from edge.core import extras as made
from schemas import extras
from tests.support.edge_table import ANNE, CHA, NOW_MS


def test_every_message_is_of_its_model() -> None:
    extras.Welcome.model_validate_json(
        made.welcome(
            "prices",
            ("ack", "heartbeat"),
            ignored=["x"],
            log="0" * 12,
            heartbeat_ms=5_000,
            now_ms=NOW_MS,
        )
    )
    extras.Subscribed.model_validate_json(
        made.subscribed(
            "prices",
            [CHA],
            [("?", "invalid")],
            recovered=False,
            why="too-old",
            now_ms=NOW_MS,
        )
    )
    extras.Unsubscribed.model_validate_json(
        made.unsubscribed("balances", None, [], now_ms=NOW_MS)
    )
    for removed in (
        made.price_removed("stx", now_ms=NOW_MS),
        made.balance_removed(ANNE, CHA, now_ms=NOW_MS),
    ):
        extras.Removed.model_validate_json(removed)
    extras.Heartbeat.model_validate_json(
        made.heartbeat([1, None], stale=True, now_ms=NOW_MS)
    )
    extras.Shutdown.model_validate_json(made.shutdown(reconnect_in_ms=7, now_ms=NOW_MS))


def test_a_subscription_without_a_cursor_says_nothing_of_one() -> None:
    said = json.loads(
        made.subscribed("prices", None, [], recovered=None, why=None, now_ms=0)
    )
    assert said == {
        "type": "SUBSCRIBED",
        "party": "prices",
        "accepted": None,
        "ignored": [],
        "timestamp": 0,
    }


def test_what_is_ignored_is_named_up_to_a_length() -> None:
    many: list[made.Ignored] = [("\x01" * 500, "invalid")] * 100
    said = json.loads(made.unsubscribed("prices", [], many, now_ms=0))
    assert len(said["ignored"]) + said["ignoredMore"] == 100
    assert said["ignored"][0]["id"] == "\x01" * 200
    text = json.dumps(said["ignored"], separators=(",", ":"))
    assert 0 < len(text) <= made.MAX_IGNORED_BYTES + 2
