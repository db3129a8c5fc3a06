"""Valid answers of every upstream, the reader of each, and ways to spoil them."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from ingest.core.normalize.accounts import (
    Account,
    Page,
    account_of_pages,
    account_v1,
    page_v2,
    page_v3,
    stx_balance,
)
from ingest.core.normalize.body import Unusable
from ingest.core.normalize.calls import called, decimals
from ingest.core.normalize.prices import SOURCES, PriceList, observed
from ingest.core.normalize.push import frame
from ingest.core.normalize.tokens import TokenList, charisma, hiro
from schemas.balances import AccountRead, SubnetRead
from schemas.base import encode
from schemas.ids import STX, ContractId, Network, UserId
from schemas.tokens import TokenObserved

USER = UserId("SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS")
ALFA = f"{USER}.alfa-token"
BETA = f"{USER}.beta-token"
GAMMA = f"{USER}.gamma-token"
THREE = (ALFA, BETA, GAMMA)
MAIN = Network.MAINNET

# JSON that no encoder of ours would write; each is a number or stands where one does.
ODD_NUMBERS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "-0",
    "0e999999999",
    "1e999999999",
    "-1e999999999",
    "1e-999999999",
    "1e999999999999999999",
    "1e99999999999999999999999",
    "1e-99999999999999999999999",
    "9" * 31,
    "1" + "0" * 60,
    "7" * 5_000,
    "0." + "3" * 5_000,
    "1e28",
    "1e30",
    "123456789012345678901234567890.5",
    # Rounded to what records hold these are above every limit.
    "99999999999999999999.9999999999999999999",
    "-99999999999999999999.9999999999999999999",
)
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    "",
    " ",
    "NaN",
    "sNaN",
    "1e999999999",
    "1" * 4_500,
    "\ud800",
    "\x00",
    "١٢٣",
    "x" * 9_000,
    "\U0001f600" * 9_000,
    [],
    {},
    [[]],
    {"": None},
    -1,
    10**30,
    ".stx",
    "stx",
)


@dataclass(frozen=True)
class Raw:
    """A piece of JSON text that stands in a body as it is."""

    text: str


@dataclass(frozen=True)
class Foreign:
    """An answer of an upstream, and what reads it."""

    valid: Any
    read: Callable[[bytes], object]


def dumps(said: Any) -> bytes:
    """Return JSON of a tree that may hold ``Raw`` pieces."""
    return _text(said).encode(errors="surrogatepass")


def _text(said: Any) -> str:
    match said:
        case Raw(text=text):
            return text
        case dict():
            pairs = (f"{json.dumps(key)}:{_text(v)}" for key, v in said.items())
            return "{" + ",".join(pairs) + "}"
        case list():
            return "[" + ",".join(map(_text, said)) + "]"
        case _:
            return json.dumps(said)


def paths(said: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value in a tree, its own first."""
    yield at
    if isinstance(said, dict):
        for key, value in said.items():
            yield from paths(value, (*at, key))
    elif isinstance(said, list):
        for index, value in enumerate(said):
            yield from paths(value, (*at, index))


def replaced(said: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a tree with another value at a path."""
    if not path:
        return value
    first, *rest = path
    copy = dict(said) if isinstance(said, dict) else list(said)
    copy[first] = replaced(copy[first], tuple(rest), value)
    return copy


def mutated(said: Any, random: Random) -> Any:
    """Return a tree spoilt in one to three places, in its structure or its values."""
    for _ in range(random.randint(1, 3)):
        path = random.choice(list(paths(said)))
        said = _spoilt(said, path, random)
    return said


def _spoilt(said: Any, path: tuple[Any, ...], random: Random) -> Any:
    at = said
    for step in path:
        at = at[step]
    way = random.randrange(6)
    if way == 0 and isinstance(at, dict | list) and at:
        return replaced(said, path, _shortened(at, random))
    if way == 1 and isinstance(at, dict | list) and at:
        return replaced(said, path, _grown(at, random))
    if way == 2:
        depth = random.choice([3, 50])
        return replaced(said, path, Raw("[" * depth + "]" * depth))
    if way == 3:
        return replaced(said, path, Raw(random.choice(ODD_NUMBERS)))
    if way == 4:
        return replaced(said, path, [at])
    return replaced(said, path, random.choice(ODD_VALUES))


def _shortened(at: Any, random: Random) -> Any:
    if isinstance(at, dict):
        gone = random.choice(list(at))
        return {key: value for key, value in at.items() if key != gone}
    return at[: random.randrange(len(at))]


def _grown(at: Any, random: Random) -> Any:
    if isinstance(at, dict):
        return {**at, str(random.choice(ODD_VALUES)): random.choice(ODD_VALUES)}
    return at * random.choice([2, 40]) + [random.choice(ODD_VALUES)]


def garbled(body: bytes, random: Random) -> bytes:
    """Return a body cut short, with bytes changed, or with something in front or behind."""
    at = random.randrange(len(body) + 1)
    noise = random.randbytes(random.randint(1, 8))
    match random.randrange(4):
        case 0:
            return body[:at]
        case 1:
            return body[:at] + noise + body[at:]
        case 2:
            return body[:at] + noise + body[at + len(noise) :]
        case _:
            return noise + body


def _nobody(_: ContractId) -> str | None:
    return None


def _prices(name: str, body: bytes) -> object:
    listed = SOURCES[name](body, MAIN)
    if isinstance(listed, PriceList):
        return [encode(o) for o in observed(listed.prices, source=name, observed_at=1)]
    return listed


def _tokens(read: Callable[[bytes, Network], Any], body: bytes) -> object:
    listed = read(body, MAIN)
    if isinstance(listed, TokenList):
        return [
            encode(
                TokenObserved(
                    contract_id=one.contract_id,
                    source="test",
                    observed_at=1,
                    fields=one.fields,
                )
            )
            for one in listed.tokens
        ]
    return listed


def _account(account: Account | Unusable) -> object:
    if isinstance(account, Unusable):
        return account
    whole = AccountRead(
        user_id=USER,
        source="hiro",
        observed_at=1,
        holdings=account.holdings,
        others=account.others,
    )
    return encode(whole)


def _v1(body: bytes) -> object:
    return _account(account_v1(body, network=MAIN, chosen=_nobody))


def _pages(read: Callable[[bytes], Page | Unusable], body: bytes) -> object:
    page = read(body)
    if isinstance(page, Unusable):
        return page
    return _account(account_of_pages("1", [page], network=MAIN, chosen=_nobody))


def _call(body: bytes) -> object:
    amount = called(body)
    if isinstance(amount, Unusable):
        return amount
    return encode(
        SubnetRead(
            user_id=USER,
            subnet_id=ContractId(ALFA),
            base_id=ContractId(BETA),
            source="test",
            observed_at=1,
            balance=str(amount),
        )
    )


def _frame(body: bytes) -> object:
    return frame(body), frame(body.decode(errors="replace"))


def _token(contract: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "Alfa",
        "symbol": "ALFA",
        "decimals": 6,
        "description": "a coin",
        "token_uri": "https://a/b",
        "total_supply": 10**15,
        **more,
    }


_AMOUNTS = {"balance": "5000000", "total_sent": "0", "total_received": "5000000"}

FOREIGN: dict[str, Foreign] = {
    "kraxel": Foreign({STX: 0.5, ALFA: 0.25, BETA: 2}, partial(_prices, "kraxel")),
    "stxtools": Foreign(
        {
            "data": [
                {
                    "contract_id": contract,
                    "metrics": {
                        "price_usd": 0.25,
                        "price_change_1d": -1.5,
                        "price_change_7d": 3,
                        "marketcap_usd": 1234567.5,
                    },
                }
                for contract in THREE
            ]
        },
        partial(_prices, "stxtools"),
    ),
    "internal": Foreign(
        {
            "status": "success",
            "data": [
                {
                    "tokenId": contract,
                    "usdPrice": 0.25,
                    "confidence": 0.9,
                    "lastUpdated": 1_750_000_000_000,
                }
                for contract in THREE
            ],
        },
        partial(_prices, "internal"),
    ),
    "charisma": Foreign(
        [
            _token(
                contract,
                contractId=contract,
                type="SUBNET",
                base=BETA,
                identifier="alfa",
                image="https://a/b.png",
                tokenAContract=BETA,
                lpRebatePercent=0.5,
                verified=True,
                lastUpdated=1_750_000_000_000,
            )
            for contract in THREE
        ],
        partial(_tokens, charisma),
    ),
    "hiro tokens": Foreign(
        {
            "limit": 60,
            "offset": 0,
            "total": 3,
            "results": [
                _token(
                    contract,
                    contract_principal=contract,
                    asset_identifier=f"{contract}::alfa",
                    image_uri="https://a/b.png",
                )
                for contract in THREE
            ],
        },
        partial(_tokens, hiro),
    ),
    "account v1": Foreign(
        {
            "stx": {**_AMOUNTS, "locked": "0"},
            "fungible_tokens": {f"{c}::alfa": _AMOUNTS for c in THREE},
            "non_fungible_tokens": {},
        },
        _v1,
    ),
    "stx": Foreign({"balance": "5", "locked": None}, stx_balance),
    "account v2": Foreign(
        {
            "limit": 200,
            "offset": 0,
            "total": 3,
            "results": [{"token": f"{c}::alfa", "balance": "7"} for c in THREE],
        },
        partial(_pages, page_v2),
    ),
    "account v3": Foreign(
        {
            "total": 3,
            "limit": 200,
            "cursor": {"next": f"5:{ALFA}::a", "previous": None, "current": None},
            "results": [
                {"asset_identifier": f"{c}::alfa", "balance": "7"} for c in THREE
            ],
        },
        partial(_pages, page_v3),
    ),
    "call": Foreign({"okay": True, "result": "0x07" + "01" + "00" * 15 + "09"}, _call),
    "failed call": Foreign({"okay": False, "cause": "Runtime(x)"}, _call),
    "decimals": Foreign(
        {"okay": True, "result": "0x0701" + "00" * 15 + "06"}, decimals
    ),
    "block": Foreign(
        {"jsonrpc": "2.0", "method": "block", "params": {"height": 5}}, _frame
    ),
    "hint": Foreign(
        {
            "jsonrpc": "2.0",
            "method": "address_balance_update",
            "params": {"address": USER, "balance": "5"},
        },
        _frame,
    ),
    "subscribed": Foreign(
        {"jsonrpc": "2.0", "id": 2, "result": {"address": USER}}, _frame
    ),
    "refused": Foreign(
        {"jsonrpc": "2.0", "id": 2, "error": {"code": -32602, "data": "no"}}, _frame
    ),
}
