"""The table of real tokens."""

from simulator.core.c32 import parse_principal
from simulator.core.known import MAINNET, SUBNETS


def test_every_id_is_canonical_and_every_base_known() -> None:
    ids = [token.contract_id for token in MAINNET] + [sub for sub, _ in SUBNETS]
    assert [parse_principal(text).text for text in ids] == ids
    assert len(set(ids)) == len(ids)
    assert {base for _, base in SUBNETS} <= {token.contract_id for token in MAINNET}
