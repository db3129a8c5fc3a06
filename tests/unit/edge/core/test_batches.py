"""Batches: none is longer than clients with the smallest usual limit take."""

import json
from typing import Any

import pytest

from edge.core.forms import EVENTS
from edge.core.frames import MAX_BATCH_BYTES, MAX_MESSAGE_BYTES
from edge.core.hub import ClientId, Hub, Rules
from edge.core.places import Place
from edge.core.session import Subscribe
from schemas.extras import FEATURES
from schemas.ids import STX, ContractId
from tests.support.edge_table import (
    ANNE,
    BOB,
    NOW_MS,
    Record,
    balance,
    identity,
    messages,
    price,
    token,
)

ME = ClientId(1)
# So many partitions that a cursor takes a good part of a batch.
PARTITIONS = 500
TOKENS = [ContractId(f"{BOB}.token-{number:04}") for number in range(600)]
# Its exact update has a part for each of its many subnets.
OVERLONG = ContractId(f"{BOB}.token-with-a-picture")
PICTURES = {"image": "x" * 8_000, "description": "y" * 8_000, "identifier": "z" * 8_000}
SUBNETS = {ContractId(f"{BOB}.subnet-{number}"): number for number in range(1, 61)}


def a_hub(*records: Record) -> Hub:
    hub = Hub(Rules(features=FEATURES))
    said = [identity(partitions=PARTITIONS), *records]
    hub.apply(
        said,
        places=[Place(n % PARTITIONS, 10**9 + n, NOW_MS) for n in range(len(said))],
        now_ms=NOW_MS,
    )
    return hub


def texts(hub: Hub, kind: str, **fields: Any) -> list[bytes]:
    said = json.dumps({"type": kind, **fields})
    frames = b"".join(hub.receive(ME, said, now_ms=NOW_MS).frames)
    return messages(frames)


def entries(said: list[bytes]) -> list[tuple[str, str]]:
    """Return who and what each entry is of, in the order in which they came."""
    found: list[dict[str, Any]] = []
    for text in said:
        message = json.loads(text)
        found += message.get("prices") or message.get("balances") or [message]
    ours = [each for each in found if "contractId" in each]
    return [(each.get("userId", ""), each["contractId"]) for each in ours]


FORMS = [(), ("resume", "seq"), ("resume", "exact", "seq", "ack")]


@pytest.mark.parametrize("features", FORMS, ids=["base", "resume", "exact"])
def test_no_batch_of_prices_is_too_long_and_none_is_lost(
    features: tuple[str, ...],
) -> None:
    hub = a_hub(*(price(each, "0.4684") for each in (STX, *TOKENS)))
    greeting = messages(b"".join(hub.connect(ME, "prices", now_ms=NOW_MS).frames))
    texts(hub, "HELLO", features=features)
    answer = texts(hub, "SUBSCRIBE")
    for said in (greeting, answer):
        batches = [text for text in said if b'"PRICE_BATCH"' in text[:40]]
        assert len(batches) > 2
        assert max(map(len, batches)) <= MAX_BATCH_BYTES
        assert entries(said) == [("", each) for each in (STX, "stx", *TOKENS)]


def test_the_two_spellings_of_one_price_are_never_parted() -> None:
    for count in range(180, 230):
        hub = a_hub(*(price(each, "1") for each in (STX, *TOKENS[:count])))
        hub.connect(ME, "prices", now_ms=NOW_MS)
        for text in texts(hub, "SUBSCRIBE"):
            assert (b'".stx"' in text) == (b'"stx"' in text)


@pytest.mark.parametrize("features", FORMS, ids=["base", "resume", "exact"])
@pytest.mark.parametrize("asked", [{"userIds": [ANNE, BOB]}, {}], ids=["named", "all"])
def test_no_batch_of_balances_is_too_long_and_none_is_lost(
    asked: dict[str, Any], features: tuple[str, ...]
) -> None:
    named = [token(each, decimals=6, description="d" * 500) for each in TOKENS[:60]]
    held = [balance(user, t, 1) for user in (ANNE, BOB) for t in TOKENS[:60]]
    hub = a_hub(*named, *held)
    hub.connect(ME, "balances", now_ms=NOW_MS)
    texts(hub, "HELLO", features=features)
    answer = texts(hub, "SUBSCRIBE", **asked)
    batches = [text for text in answer if b'"BALANCE_BATCH"' in text[:40]]
    assert len(batches) > 3
    assert max(map(len, batches)) <= MAX_BATCH_BYTES
    assert entries(answer) == [(u, t) for u in (ANNE, BOB) for t in TOKENS[:60]]


def an_overlong_update(*others: Record) -> Hub:
    """Return a hub with an update that no batch has room for, and a client that is exact."""
    held = balance(ANNE, OVERLONG, 1, subnets=SUBNETS)
    hub = a_hub(*others, token(OVERLONG, decimals=6, **PICTURES), held)
    hub.connect(ME, "balances", now_ms=NOW_MS)
    texts(hub, "HELLO", features=["exact"])
    return hub


def test_an_update_that_no_batch_has_room_for_goes_out_by_itself() -> None:
    hub = an_overlong_update(token(TOKENS[0], decimals=6))
    answer = texts(hub, "SUBSCRIBE", userIds=[ANNE])
    kinds = [json.loads(text)["type"] for text in answer]
    assert kinds == ["BALANCE_BATCH", "BALANCE_UPDATE"]
    assert MAX_BATCH_BYTES < len(answer[1]) <= MAX_MESSAGE_BYTES
    assert entries(answer) == [(ANNE, TOKENS[0]), (ANNE, OVERLONG)]


def test_an_answer_of_nothing_but_such_updates_still_has_its_batch() -> None:
    answer = texts(an_overlong_update(), "SUBSCRIBE", userIds=[ANNE])
    assert entries(answer) == [(ANNE, OVERLONG)]
    assert json.loads(answer[-1])["balances"] == []


def test_changes_that_come_together_are_batched_as_answers_are() -> None:
    described = [token(t, decimals=6, description="d" * 500) for t in TOKENS[:60]]
    hub = an_overlong_update(*described)
    texts(hub, "SUBSCRIBE")
    wanted = [*TOKENS[:20], OVERLONG, *TOKENS[20:30]]
    changes = [balance(ANNE, t, 2, version=2, subnets=SUBNETS) for t in wanted]
    (write,) = hub.apply(changes, now_ms=NOW_MS)
    said = messages(write.frames)
    while hub.is_behind(ME):
        said += messages(hub.pull(ME, now_ms=NOW_MS))
    assert entries(said) == [(ANNE, each) for each in wanted]
    longest = [len(text) for text in said if b'"BALANCE_BATCH"' in text[:40]]
    assert max(longest) <= MAX_BATCH_BYTES


def test_events_are_batched_as_messages_are() -> None:
    hub = a_hub(*(price(each, "0.4684") for each in TOKENS))
    hub.connect(ME, "prices", form=EVENTS, now_ms=NOW_MS)
    frames = b"".join(hub.handle(ME, Subscribe(None), now_ms=NOW_MS).frames)
    lines = [line for line in frames.splitlines() if line.startswith(b"data: ")]
    said = [line.removeprefix(b"data: ") for line in lines]
    assert max(map(len, said)) <= MAX_BATCH_BYTES
    assert entries(said) == [("", each) for each in TOKENS]
