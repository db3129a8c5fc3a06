"""What is told about tokens: Charisma's registry, and Hiro's metadata."""

from collections.abc import Iterable
from typing import Any

from .draws import digest
from .listings import STX_TOKEN, image, total_supply
from .market import Market
from .world import Token, World

Body = dict[str, Any]

# Real records leave things out and mistype them; one in so many does so here.
_TEXT_DECIMALS_ONE_IN = 15
_NULL_IMAGE_ONE_IN = 6
_NO_DESCRIPTION_ONE_IN = 8
_NO_IDENTIFIER_ONE_IN = 30


def records(world: World, market: Market, *, updated_at_ms: int) -> list[Body]:
    """Return every record, mainnet's first; only here there are subnet tokens."""
    mainnet = [
        _record(token, market.factors[0][token.contract_id], at, updated_at_ms)
        for at, token in enumerate((STX_TOKEN, *world.tokens), start=1)
    ]
    subnets = [
        _subnet_record(token, at, updated_at_ms)
        for at, token in enumerate(world.subnets)
    ]
    return mainnet + subnets


def complete(rows: Iterable[Body]) -> list[Body]:
    """Return the records of tokens: those with id, symbol and decimals."""
    wanted = ("contractId", "symbol", "decimals")
    return [row for row in rows if all(row.get(key) is not None for key in wanted)]


def paginated(rows: list[Body], *, page: int, limit: int, search: str | None) -> Body:
    """Return one page, counted from 1, of the records that a search leaves."""
    found = [row for row in rows if search is None or _matches(row, search)]
    pages = -(-len(found) // limit)
    return {
        "tokens": found[(page - 1) * limit : page * limit],
        "pagination": {
            "page": page,
            "limit": limit,
            "total": len(found),
            "totalPages": pages,
            "hasMore": page < pages,
            "hasPrevious": page > 1,
        },
        "search": search,
    }


def hiro_list(world: World, *, limit: int, offset: int) -> Body:
    """Return one page of Hiro's metadata, which leaves out what it is still fetching."""
    tokens = [token for token in world.tokens if not token.metadata_pending]
    return {
        "limit": limit,
        "offset": offset,
        "total": len(tokens),
        "results": [
            hiro_token(world, token) | {"contract_principal": token.contract_id}
            for token in tokens[offset : offset + limit]
        ],
    }


def hiro_token(world: World, token: Token) -> Body:
    """Return Hiro's metadata of one token; zero decimals are left out, as there."""
    deployer = token.contract_id.partition(".")[0]
    body: Body = {
        "name": token.name,
        "symbol": token.symbol,
        "token_uri": f"https://metadata.invalid/{token.symbol}.json",
        "description": f"{token.name} on Stacks",
        "image_uri": image(token),
        "image_canonical_uri": image(token),
        "total_supply": str(total_supply(token)),
        "sender_address": deployer,
        "asset_identifier": token.asset_id,
        "tx_id": "0x" + digest(world.seed, "deploy", token.contract_id).hex(),
        "metadata": {"sip": 16, "name": token.name, "image": image(token)},
    }
    return body | ({"decimals": token.decimals} if token.decimals else {})


def _record(token: Token, factor: float, at: int, updated_at_ms: int) -> Body:
    text = at % _TEXT_DECIMALS_ONE_IN == 0
    record: Body = {
        "type": "",
        "contractId": token.contract_id,
        "name": token.name,
        "description": f"{token.name} on Stacks",
        "image": None if at % _NULL_IMAGE_ONE_IN == 0 else image(token),
        "lastUpdated": updated_at_ms,
        "decimals": str(token.decimals) if text else token.decimals,
        "symbol": token.symbol,
        "token_uri": f"https://metadata.invalid/{token.symbol}.json",
        "identifier": token.asset,
        "total_supply": total_supply(token),
        "usdPrice": token.usd * factor,
        "confidence": 0.9,
        "marketPrice": token.usd * factor,
        "intrinsicValue": None,
        "totalLiquidity": 25_000.0,
    }
    if at % _NO_DESCRIPTION_ONE_IN == 0:
        del record["description"]
    if at % _NO_IDENTIFIER_ONE_IN == 0:
        del record["identifier"]
    return record


def _subnet_record(token: Token, at: int, updated_at_ms: int) -> Body:
    record: Body = {
        "type": "SUBNET",
        "contractId": token.contract_id,
        "name": token.name,
        "description": f"{token.name} on Stacks",
        "image": image(token),
        "lastUpdated": str(updated_at_ms),
        "decimals": token.decimals,
        "symbol": token.symbol,
        "token_uri": None,
        "identifier": token.asset,
        "total_supply": total_supply(token),
        "base": token.base,
    }
    # One record has lost its base, another has it as the text that JavaScript makes.
    match at:
        case 5:
            del record["base"]
        case 7:
            record["base"] = "undefined"
        case _:
            pass
    return record


def _matches(row: Body, search: str) -> bool:
    texts = (row["name"], row["symbol"], row["contractId"])
    return any(search.lower() in text.lower() for text in texts)
