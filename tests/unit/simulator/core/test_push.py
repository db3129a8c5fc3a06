"""The push: JSON-RPC, what a ping leaves, and who hears of what."""

import json
from typing import Any

import pytest

from simulator.core import push
from simulator.core.chain import Block
from simulator.core.faults import Kind
from simulator.core.genesis import Holding
from simulator.core.push import Topic
from simulator.core.world import STX
from tests.support.shared_data import shared_data
from tests.support.simulated import Grown, grown

ADDRESS = "SP000000000000000000002Q6VF78"


def call(method: str, request_id: int | None = 1, **params: object) -> str:
    asked = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    return json.dumps(asked)


def answered(text: str, topics: push.Topics = ()) -> tuple[Any, push.Topics]:
    answer, after = push.respond(topics, text)
    return (None if answer is None else json.loads(answer)), after


def test_the_reference_requests_are_taken_and_echoed() -> None:
    read = json.loads(shared_data("hiro/ws_messages.json").read_text())
    topics: push.Topics = ()
    results: dict[int, Any] = {}
    for request in read["requests"]:
        answer, topics = answered(json.dumps(request), topics)
        results[answer["id"]] = answer
    for wanted in read["responses"]:
        assert results[wanted["id"]] == wanted
    assert len(topics) == 5


def test_an_address_is_subscribed_under_its_canonical_spelling() -> None:
    asked = call("subscribe", event="address_tx_update", address=ADDRESS.lower())
    answer, topics = answered(asked)
    assert topics == (Topic("address_tx_update", ADDRESS),)
    assert answer["result"] == {"address": ADDRESS.lower()}


def test_unsubscribing_takes_one_topic_away() -> None:
    topics = (Topic("block"), Topic("mempool"))
    answer, after = answered(call("unsubscribe", event="block"), topics)
    assert answer["result"] == {}
    assert after == (Topic("mempool"),)


def test_subscribing_twice_is_subscribing_once() -> None:
    _, topics = answered(call("subscribe", event="block"), (Topic("block"),))
    assert topics == (Topic("block"),)


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        pytest.param("{", -32700, None, id="not JSON"),
        pytest.param("1", -32600, None, id="not a request"),
        pytest.param(call("shout"), -32601, None, id="method"),
        pytest.param(
            call("subscribe"),
            -32602,
            "subscription requests must include an event name",
            id="no event",
        ),
        pytest.param(
            '{"id": 1, "method": "subscribe"}',
            -32602,
            "subscription requests must include an event name",
            id="no params",
        ),
        pytest.param(
            call("subscribe", event="weather"),
            -32602,
            "subscription request must use a valid event name",
            id="event",
        ),
        pytest.param(
            call("subscribe", event="address_tx_update", address="SP1"),
            -32602,
            "invalid address",
            id="address",
        ),
        pytest.param(
            call("subscribe", event="tx_update", tx_id="0x12"),
            -32602,
            "invalid tx_id",
            id="tx id",
        ),
        pytest.param(
            call("subscribe", event="tx_update", tx_id="g" * 64),
            -32602,
            "invalid tx_id",
            id="tx id not hex",
        ),
    ],
)
def test_what_makes_no_sense_is_an_error(
    text: str, code: int, reason: str | None
) -> None:
    answer, topics = answered(text)
    assert answer["error"]["code"] == code
    assert answer["error"].get("data") == reason
    assert topics == ()


def test_a_request_without_an_id_is_ignored() -> None:
    assert answered(call("subscribe", None, event="block")) == (None, ())


def test_a_batch_is_answered_in_one_frame() -> None:
    one, two = (
        call("subscribe", 1, event="block"),
        call("subscribe", 2, event="mempool"),
    )
    quiet = call("subscribe", None, event="block")
    answer, topics = answered(f"[{one},{quiet},{two}]")
    assert [each["id"] for each in answer] == [1, 2]
    assert len(topics) == 2
    assert answered(f"[{quiet}]") == (None, ())


TOPICS = (
    Topic("block"),
    Topic("address_tx_update", "a"),
    Topic("address_tx_update", "b"),
    Topic("address_balance_update", "b"),
)


@pytest.mark.parametrize(
    ("answered_ping", "fault", "left"),
    [
        pytest.param(True, None, TOPICS, id="well"),
        pytest.param(False, None, (), id="missed a ping"),
        pytest.param(True, Kind.DELETE_SUBSCRIPTIONS, (), id="deleted"),
        pytest.param(
            True,
            Kind.DROP_SUBSCRIPTIONS,
            (TOPICS[0], TOPICS[1], TOPICS[3]),
            id="one a kind",
        ),
    ],
)
def test_what_a_ping_leaves(
    answered_ping: bool, fault: Kind | None, left: push.Topics
) -> None:
    assert push.after_ping(TOPICS, answered=answered_ping, fault=fault) == left


def heard(of: Grown, block: Block) -> dict[Topic, Any]:
    frames = push.notifications(of.world, of.ledger, block, 1_700_000_000_000)
    return {topic: json.loads(frame) for topic, frame in frames}


def test_a_block_tells_of_itself_and_of_every_account_it_touched() -> None:
    of = grown()
    (block,) = of.ledger.advance()
    frames = heard(of, block)
    shown = frames[Topic("block")]["params"]
    assert shown["hash"] == block.block_hash
    assert shown["txs"] == [made.tx_id for made in block.transactions]
    for made in block.transactions:
        assert Topic("tx_update", made.tx_id) in frames
        for change in made.changes:
            update = frames[Topic("address_balance_update", change.owner)]
            stx = of.ledger.holding(change.owner, STX).balance
            assert update["params"]["balance"] == str(stx)
            assert Topic("address_tx_update", change.owner) in frames


def test_notifications_have_the_fields_of_the_reference() -> None:
    read = json.loads(shared_data("hiro/ws_messages.json").read_text())
    wanted = {
        note["frame"]["method"]: note["frame"]["params"].keys()
        for note in reversed(read["notifications"])
    }
    of = grown()
    (block,) = of.ledger.advance()
    for topic, frame in heard(of, block).items():
        assert frame.keys() == {"jsonrpc", "method", "params"}
        assert frame["params"].keys() <= wanted[topic.event]
        if topic.event.startswith("address"):
            assert frame["params"].keys() == wanted[topic.event]


def test_a_transfer_of_stx_shows_who_sent_how_much_to_whom() -> None:
    of = grown(moves=60)
    for _ in range(5):
        (block,) = of.ledger.advance()
        for made in block.transactions:
            sender, recipient = made.changes
            if sender.contract_id == STX:
                topic = Topic("address_tx_update", sender.owner)
                frames = push.notifications(of.world, of.ledger, block, 0)
                params = [json.loads(text) for key, text in frames if key == topic]
                mine = [
                    p["params"] for p in params if p["params"]["tx_id"] == made.tx_id
                ]
                assert mine[0]["stx_sent"] == str(recipient.balance)
                assert mine[0]["stx_transfers"] == [
                    {
                        "amount": str(recipient.balance),
                        "sender": sender.owner,
                        "recipient": recipient.owner,
                    }
                ]
                return
    pytest.fail("nobody sent STX")


def test_a_holding_that_was_put_names_no_sender() -> None:
    of = grown()
    (block,) = of.ledger.put(of.world.accounts[0], STX, Holding(7, 0, 7))
    frame = heard(of, block)[Topic("address_tx_update", of.world.accounts[0])]
    assert frame["params"]["stx_transfers"] == []


def test_bitcoin_moves_slower_than_stacks() -> None:
    assert push.burn_height(1_000_119) == push.burn_height(1_000_000)
    assert push.burn_height(1_000_120) == push.burn_height(1_000_000) + 1
