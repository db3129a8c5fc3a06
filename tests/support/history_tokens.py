"""A real list of tokens as what several sources said of them, some of it twice."""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

from tests.support.history_types import Observation, observation
from tests.support.shared_data import shared_data

_START_MS = 1_600_000_000_000
_HOUR_MS = 3_600_000
_ROUNDS = 6
_UNSAID = (
    *("name", "symbol", "decimals", "type", "identifier", "description", "image"),
    *("tokenUri", "totalSupply", "base", "tokenAContract", "tokenBContract"),
    *("lpRebatePercent", "externalPoolId", "engineContractId", "verified"),
)


def token_observations() -> list[Observation]:
    """Return rounds of polls: most say the same again, some say something new."""
    listed = json.loads(shared_data("stacks/alex_sdk_sampleResponse.json").read_text())
    moments = count(_START_MS, _HOUR_MS)
    return [
        said
        for round_number in range(_ROUNDS)
        for token in listed["tokens"]
        for said in _said(token, round_number, next(moments))
    ]


def _said(token: dict[str, Any], round_number: int, at: int) -> Iterator[Observation]:
    contract, _, identifier = token["wrapToken"].partition("::")
    sources: dict[str, dict[str, Any]] = {
        "hiro": {"name": token["name"], "identifier": identifier},
        "charisma": {
            "symbol": token["name"].upper(),
            "image": f"{token['icon']}?round={round_number // 2}",
            "verified": round_number > 2,
        },
        "contract": {"decimals": token["wrapTokenDecimals"]},
        "alex": {"name": token["id"], "base": _base(token) if round_number else None},
    }
    # The contract is asked once; the others say the same again and again.
    names = (
        sources
        if round_number == 0
        else [name for name in sources if name != "contract"]
    )
    for name in names:
        yield observation(
            "token.observed",
            contractId=contract,
            source=name,
            observedAt=at,
            sequence=0,
            fields=dict.fromkeys(_UNSAID) | sources[name],
        )


def _base(token: dict[str, Any]) -> str | None:
    base: str = token["underlyingToken"].partition("::")[0]
    return base if base != token["wrapToken"].partition("::")[0] else None
