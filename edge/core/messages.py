"""The exact bytes of every message of the base protocol.

The shapes are those of ``schemas.wire``, which the tests hold these bytes to. They are
put together by hand because each is made once and sent to many, and because numbers of
base units and prices are written with all the digits that the log has.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from edge.core.derived import largest_subnet, subnet_decimals
from edge.core.table import Table
from schemas.amounts import formatted
from schemas.balances import Balance
from schemas.ids import ContractId, UserId
from schemas.log import World
from schemas.prices import Price
from schemas.tokens import Token
from schemas.wire import CLIENT_TYPES, Party

BAD_FORMAT = "Invalid message format"
UNKNOWN_TYPE = "Unknown message type; supported types: " + ", ".join(CLIENT_TYPES)

# Limit for the metadata of one token. Whoever deploys a token writes its texts; they must
# not make a BALANCE_UPDATE too long for a batch, since some clients would be cut off by it.
MAX_METADATA_BYTES = 30_000
_TEXTS = (
    "name",
    "symbol",
    "type",
    "identifier",
    "description",
    "image",
    "token_uri",
    "tokenAContract",
    "tokenBContract",
    "externalPoolId",
    "engineContractId",
)


def is_simulated(table: Table) -> bool:
    """Tell whether the log holds the simulator's world."""
    return table.identity is not None and table.identity.world is World.SIMULATED


def server_info(party: Party, table: Table, *, now_ms: int) -> bytes:
    """Return the first message of a connection."""
    return orjson.dumps(
        {
            "type": "SERVER_INFO",
            "party": party,
            "isLocalDev": is_simulated(table),
            "metadataLoaded": bool(table.tokens),
            "metadataCount": len(table.tokens),
            "timestamp": now_ms,
        }
    )


def error(message: str) -> bytes:
    """Return an ``ERROR``."""
    return orjson.dumps({"type": "ERROR", "message": message})


def pong(timestamp: bytes | None) -> bytes:
    """Return a ``PONG`` with the JSON value that the ``PING`` carried, if it had one."""
    echo = b"" if timestamp is None else b',"timestamp":' + timestamp
    return b'{"type":"PONG"' + echo + b"}"


def price_update(spelling: str, price: Price, *, source: str) -> bytes:
    """Return a ``PRICE_UPDATE`` under the id that was asked for."""
    return (
        f'{{"type":"PRICE_UPDATE","contractId":"{spelling}","price":{price.usd},'
        f'"timestamp":{price.observed_at},"source":"{source}"}}'
    ).encode()


def price_batch(updates: Sequence[bytes], *, now_ms: int) -> bytes:
    """Return a ``PRICE_BATCH``."""
    joined = b",".join(updates)
    return b'{"type":"PRICE_BATCH","prices":[%b],"timestamp":%d}' % (joined, now_ms)


def balance_batch(updates: Sequence[bytes], *, now_ms: int) -> bytes:
    """Return a ``BALANCE_BATCH``."""
    joined = b",".join(updates)
    return b'{"type":"BALANCE_BATCH","balances":[%b],"timestamp":%d}' % (joined, now_ms)


def body_head(party: Party, updates: Sequence[bytes]) -> bytes:
    """Return the answer to GET up to where it says what time it is."""
    return b'{"%b":[%b]' % (party.encode(), b",".join(updates))


def body_tail(party: Party, *, now_ms: int) -> bytes:
    """Return the rest of it."""
    return b',"party":"%b","serverTime":%d}' % (party.encode(), now_ms)


def since_tail(
    party: Party,
    removed: Sequence[bytes],
    *,
    cursor: str | None,
    why: str | None,
    now_ms: int,
) -> bytes:
    """Return the rest of an answer to GET ``?since=``; with ``why`` it is everything."""
    said = {
        "removed": [orjson.Fragment(each) for each in removed],
        "party": party,
        "recovered": why is None,
        **({} if why is None else {"why": why}),
        **({} if cursor is None else {"cursor": cursor}),
        "serverTime": now_ms,
    }
    return b"," + orjson.dumps(said)[1:]


def triggered(party: Party, *, now_ms: int) -> bytes:
    """Return the answer to POST."""
    return orjson.dumps({"status": "triggered", "party": party, "timestamp": now_ms})


def metadata(token: Token, price: Price | None) -> bytes:
    """Return the metadata of a token with its market data, all fields.

    Where they would not fit into a batch the longest texts are ``null``: half an
    image or an address is worth nothing.
    """
    fields = _metadata_fields(token, price)
    while len(made := orjson.dumps(fields)) > MAX_METADATA_BYTES:
        longest = max(_TEXTS, key=lambda name: len(orjson.dumps(fields[name])))
        fields[longest] = None
    return made


def _metadata_fields(token: Token, price: Price | None) -> dict[str, Any]:
    market = price.market if price else None
    fields = token.fields
    return {
        "contractId": token.contract_id,
        "name": fields.name,
        "symbol": fields.symbol,
        "decimals": fields.decimals,
        "type": fields.type,
        # Older clients read a text; without one of its own a token has its contract's.
        "identifier": fields.identifier or token.contract_id,
        "description": fields.description,
        "image": fields.image,
        "token_uri": fields.token_uri,
        "total_supply": fields.total_supply,
        "lastUpdated": fields.last_updated or token.observed_at,
        "tokenAContract": fields.token_a_contract,
        "tokenBContract": fields.token_b_contract,
        "lpRebatePercent": _number(fields.lp_rebate_percent),
        "externalPoolId": fields.external_pool_id,
        "engineContractId": fields.engine_contract_id,
        "base": fields.base,
        "verified": bool(fields.verified),
        "price": _number(price.usd if price else None),
        "change1h": _number(market.change1h if market else None),
        "change24h": _number(market.change24h if market else None),
        "change7d": _number(market.change7d if market else None),
        "marketCap": _number(market.market_cap if market else None),
    }


def _number(text: str | None) -> orjson.Fragment | None:
    """Return a decimal text as the JSON number with the same digits."""
    return None if text is None else orjson.Fragment(text)


def balance_update(
    balance: Balance, table: Table, *, decimals: int, joined: bytes
) -> bytes:
    """Return a ``BALANCE_UPDATE``; ``joined`` is the token's metadata.

    A mainnet layer that was never read is 0 by default, whatever is known of subnets.
    """
    contract, main = balance.contract_id, balance.mainnet
    amount = main.balance if main else "0"
    sent = (main.total_sent if main else None) or "0"
    received = (main.total_received if main else None) or "0"
    head = (
        f'{{"type":"BALANCE_UPDATE","userId":"{balance.user_id}",'
        f'"contractId":"{contract}","balance":{amount},"totalSent":"{sent}",'
        f'"totalReceived":"{received}",'
        f'"formattedBalance":{formatted(int(amount), decimals)!r},'
        f'{_subnet(balance, table)}"metadata":'
    )
    source = "hiro-api" if main else "default-zero"
    tail = f',"timestamp":{balance.observed_at},"source":"{source}"}}'
    return head.encode() + joined + tail.encode()


def zero_update(
    user: UserId, contract: ContractId, *, joined: bytes, now_ms: int
) -> bytes:
    """Return the entry of a known token that a user does not hold."""
    head = (
        f'{{"type":"BALANCE_UPDATE","userId":"{user}","contractId":"{contract}",'
        '"balance":0,"totalSent":"0","totalReceived":"0","formattedBalance":0.0,'
        '"metadata":'
    )
    tail = f',"timestamp":{now_ms},"source":"default-zero"}}'
    return head.encode() + joined + tail.encode()


def _subnet(balance: Balance, table: Table) -> str:
    """Return the three subnet fields, or nothing: they are never ``null``."""
    largest = largest_subnet(balance)
    if largest is None:
        return ""
    subnet, part = largest
    decimals = subnet_decimals(subnet, balance.contract_id, table) or 0
    return (
        f'"subnetBalance":{part.balance},"formattedSubnetBalance":'
        f'{formatted(int(part.balance), decimals)!r},"subnetContractId":"{subnet}",'
    )
