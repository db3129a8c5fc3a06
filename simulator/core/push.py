"""Hiro's WebSocket push: subscriptions over JSON-RPC, and who hears of a block."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from .accounts import Account, v1_stx
from .c32 import BadPrincipal, parse_principal
from .chain import (
    GENESIS_BURN_HEIGHT,
    GENESIS_HEIGHT,
    Block,
    Change,
    Ledger,
    Transaction,
)
from .draws import digest
from .faults import Kind
from .world import STX, World

PATH = "/extended/v1/ws"
MALFORMED_FRAME = '{"jsonrpc":"2.0","method":"block","params":{'

_ADDRESS_EVENTS = {"address_tx_update", "address_balance_update"}
_PLAIN_EVENTS = {
    "block",
    "microblock",
    "mempool",
    "nft_event",
    "nft_asset_event",
    "nft_collection_event",
}
_BLOCKS_A_BURN_BLOCK = 120


class Topic(NamedTuple):
    """What one subscription asks for: an event, and of whom or what."""

    event: str
    subject: str | None = None


# In the order in which they came: it decides which one survives a faulty ping.
Topics = tuple[Topic, ...]


class Notification(NamedTuple):
    """One frame and the subscription that it is for."""

    topic: Topic
    frame: str


class _Refused(Exception):
    def __init__(self, code: int, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.reason = code, message, reason


def respond(topics: Topics, text: str) -> tuple[str | None, Topics]:
    """Return the answer to one frame, if it gets one, and the subscriptions after it."""
    try:
        asked: Any = json.loads(text)
    except ValueError:
        return _dump(_error(None, _Refused(-32700, "Parse error"))), topics
    if not isinstance(asked, list):
        answer, topics = _respond_one(topics, asked)
        return (None if answer is None else _dump(answer)), topics
    answers: list[object] = []
    for one in asked:
        answer, topics = _respond_one(topics, one)
        if answer is not None:
            answers.append(answer)
    return (_dump(answers) if answers else None), topics


def _respond_one(topics: Topics, asked: Any) -> tuple[object | None, Topics]:
    if not isinstance(asked, dict):
        return _error(None, _Refused(-32600, "Invalid Request")), topics
    if asked.get("id") is None:
        return None, topics
    try:
        method = _method(asked)
        topic, result = _topic(asked.get("params"))
    except _Refused as refused:
        return _error(asked["id"], refused), topics
    others = tuple(have for have in topics if have != topic)
    after = (*others, topic) if method == "subscribe" else others
    return {"jsonrpc": "2.0", "id": asked["id"], "result": result}, after


def _method(asked: dict[str, Any]) -> str:
    method = str(asked.get("method"))
    if method not in {"subscribe", "unsubscribe"}:
        raise _Refused(-32601, "Method not found")
    return method


def _topic(params: Any) -> tuple[Topic, dict[str, str]]:
    if not isinstance(params, dict) or "event" not in params:
        raise _invalid("subscription requests must include an event name")
    event = str(params["event"])
    if event in _ADDRESS_EVENTS:
        subject = str(params.get("address"))
        try:
            principal = parse_principal(subject).text
        except BadPrincipal as error:
            raise _invalid("invalid address") from error
        return Topic(event, principal), {"address": subject}
    if event == "tx_update":
        tx_id = str(params.get("tx_id")).lower().removeprefix("0x")
        if len(tx_id) != 64 or not set(tx_id) <= set("0123456789abcdef"):  # noqa: PLR2004 - hex digits of 32 bytes
            raise _invalid("invalid tx_id")
        return Topic(event, "0x" + tx_id), {"tx_id": "0x" + tx_id}
    if event in _PLAIN_EVENTS:
        return Topic(event), {}
    raise _invalid("subscription request must use a valid event name")


def _invalid(reason: str) -> _Refused:
    return _Refused(-32602, "Invalid params", reason)


def _error(request_id: object, refused: _Refused) -> object:
    error: dict[str, object] = {"code": refused.code, "message": refused.message}
    if refused.reason is not None:
        error["data"] = refused.reason
    return {"jsonrpc": "2.0", "id": request_id, "error": error}


def after_ping(topics: Topics, *, answered: bool, fault: Kind | None) -> Topics:
    """Return what is left of a socket's subscriptions at a ping.

    Who missed the last ping loses all of them and is not told. With the fault
    `DROP_SUBSCRIPTIONS` only the first of each kind of event is left, as on a server
    that keeps its signs of life by kind and socket, not by subscription.
    """
    if not answered or fault is Kind.DELETE_SUBSCRIPTIONS:
        return ()
    if fault is not Kind.DROP_SUBSCRIPTIONS:
        return topics
    first: dict[str, Topic] = {}
    for topic in topics:
        first.setdefault(topic.event, topic)
    return tuple(first.values())


def notifications(
    world: World, ledger: Ledger, block: Block, moved_at_ms: int
) -> Iterator[Notification]:
    """Yield what a block makes known: itself, its transactions, changed balances."""
    yield _notify(Topic("block"), _block(block, moved_at_ms))
    owners: dict[str, None] = {}
    for made in block.transactions:
        topic = Topic("tx_update", made.tx_id)
        yield _notify(topic, _transaction(block, made, moved_at_ms))
        for change in made.changes:
            owners[change.owner] = None
            topic = Topic("address_tx_update", change.owner)
            yield _notify(topic, _address_tx(block, made, change.owner, moved_at_ms))
    yield from hints(world, ledger, owners)


def hints(
    world: World, ledger: Ledger, owners: Iterable[str]
) -> Iterator[Notification]:
    """Yield for each account that its balance moved: its STX, never its tokens."""
    for owner in owners:
        stx = v1_stx(Account(world, ledger, owner))
        shown = {key: stx[key] for key in stx if not key.startswith(("est", "pend"))}
        topic = Topic("address_balance_update", owner)
        yield _notify(topic, {"address": owner, **shown})


def burn_height(height: int) -> int:
    """Return the height of the Bitcoin block that a Stacks block hangs on."""
    return GENESIS_BURN_HEIGHT + (height - GENESIS_HEIGHT) // _BLOCKS_A_BURN_BLOCK


def _notify(topic: Topic, params: object) -> Notification:
    frame = {"jsonrpc": "2.0", "method": topic.event, "params": params}
    return Notification(topic, _dump(frame))


def _block(block: Block, moved_at_ms: int) -> dict[str, object]:
    burn = burn_height(block.height)
    return {
        "canonical": True,
        "height": block.height,
        "hash": block.block_hash,
        "parent_block_hash": block.parent_hash,
        "burn_block_time": moved_at_ms // 1_000,
        "burn_block_hash": "0x" + digest(burn, "burn").hex(),
        "burn_block_height": burn,
        "miner_txid": "0x" + digest(burn, "miner").hex(),
        "txs": [made.tx_id for made in block.transactions],
    }


def _transaction(
    block: Block, made: Transaction, moved_at_ms: int
) -> dict[str, object]:
    stx = all(change.contract_id == STX for change in made.changes)
    return {
        "tx_id": made.tx_id,
        "nonce": 0,
        "fee_rate": "0",
        "sender_address": made.changes[0].owner,
        "sponsored": False,
        "canonical": True,
        "block_hash": block.block_hash,
        "block_height": block.height,
        "parent_block_hash": block.parent_hash,
        "burn_block_time": moved_at_ms // 1_000,
        "tx_status": "success",
        "tx_type": "token_transfer" if stx else "contract_call",
        "event_count": 1,
        "events": [],
    }


def _address_tx(
    block: Block, made: Transaction, owner: str, moved_at_ms: int
) -> dict[str, object]:
    stx = [change for change in made.changes if change.contract_id == STX]
    mine = [change for change in stx if change.owner == owner]
    tx = _transaction(block, made, moved_at_ms)
    return {
        "address": owner,
        "tx_id": made.tx_id,
        "tx_status": tx["tx_status"],
        "tx_type": tx["tx_type"],
        "tx": tx,
        "stx_sent": str(sum(change.sent for change in mine)),
        "stx_received": str(sum(change.received for change in mine)),
        "stx_transfers": _stx_transfers(stx),
    }


def _stx_transfers(stx: list[Change]) -> list[dict[str, str]]:
    match stx:
        case [sender, recipient]:
            return [
                {
                    "amount": str(recipient.balance),
                    "sender": sender.owner,
                    "recipient": recipient.owner,
                }
            ]
        case _:
            return []


def _dump(frame: object) -> str:
    return json.dumps(frame, separators=(",", ":"))
