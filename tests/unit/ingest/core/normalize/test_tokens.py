"""Token records: dirty fields are left out, tokens are not."""

import json
from typing import Any

import pytest

from ingest.core.normalize.body import Unusable
from ingest.core.normalize.tokens import TokenList, charisma, hiro
from schemas.ids import Network
from schemas.tokens import TokenFields
from tests.support.shared_data import shared_data

A = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS.a"
B = "SM3VDXK3WZZSA84XXFKAFAF15NNZX32CTSG82JFQ4.b"
MAIN = Network.MAINNET


def listed(*rows: Any) -> TokenList:
    found = charisma(json.dumps(rows).encode(), MAIN)
    assert isinstance(found, TokenList)
    return found


def fields(**said: Any) -> TokenFields:
    [token] = listed({"contractId": A, **said}).tokens
    return token.fields


def test_a_whole_record_is_read() -> None:
    assert fields(
        type="SUBNET",
        name="Coin",
        symbol="C",
        decimals=6,
        base=f"{B}::b",
        identifier="c",
        total_supply=2_431_847_752_407,
        lpRebatePercent=0.3,
        verified=True,
        lastUpdated=1_750_913_233_229,
        usdPrice=3,
    ) == TokenFields(
        type="SUBNET",
        name="Coin",
        symbol="C",
        decimals=6,
        base=B,  # type: ignore[arg-type]
        identifier="c",
        total_supply="2431847752407",
        lp_rebate_percent="0.3",
        verified=True,
        last_updated=1_750_913_233_229,
    )


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        (1_760_000_000_000, 1_760_000_000_000),
        ("1760000000001", 1_760_000_000_001),
        (1_760_000_000, None),
        (0, None),
        (10**40, None),
        (-1, None),
        ("2025-10-09T08:53:20Z", None),
        (True, None),
        (None, None),
    ],
)
def test_the_moment_of_a_record_is_milliseconds_of_this_century_or_not_said(
    said: Any, moment: int | None
) -> None:
    assert fields(lastUpdated=said).last_updated == moment


def test_an_empty_identifier_is_one_that_nobody_said() -> None:
    assert fields(identifier="").identifier is None


@pytest.mark.parametrize(
    ("said", "decimals"),
    [
        (0, 0),
        ("6", 6),
        (38, 38),
        (39, None),
        (-1, None),
        (None, None),
        ("six", None),
        (1.5, None),
    ],
)
def test_absent_or_bad_decimals_are_unknown_and_zero_is_zero(
    said: Any, decimals: int | None
) -> None:
    assert fields(decimals=said).decimals == decimals


@pytest.mark.parametrize("base", ["undefined", "", None, 5, "SPx.y"])
def test_a_base_that_is_none_is_none(base: Any) -> None:
    assert fields(type="SUBNET", base=base).base is None


def test_fields_that_do_not_fit_are_left_out() -> None:
    assert (
        fields(
            type="",
            name="",
            image="data:image/png;base64," + "A" * 9_000,
            description="\ud800",
            total_supply="340282366920938463463374607431768211456",
            lpRebatePercent="much",
            verified="yes",
        )
        == TokenFields()
    )
    assert fields(lpRebatePercent="2.50").lp_rebate_percent == "2.5"
    assert fields(lpRebatePercent="1e30").lp_rebate_percent is None
    assert fields(lpRebatePercent="NaN").lp_rebate_percent is None


def test_records_that_name_no_token_are_counted() -> None:
    found = listed({"contractId": A}, {"contractId": "x"}, {}, "row", {"contractId": A})
    assert ([token.contract_id for token in found.tokens], found.refused) == ([A], 4)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"tokens": []}'])
def test_a_registry_that_is_no_list_is_unusable(body: bytes) -> None:
    assert isinstance(charisma(body, MAIN), Unusable)


def test_hiros_list_is_read_with_the_asset_as_identifier() -> None:
    rows = [
        {
            "contract_principal": A,
            "asset_identifier": f"{A}::coin",
            "decimals": 6,
            "image_canonical_uri": "https://x/y.png",
            "total_supply": "1",
        },
        {"asset_identifier": f"{B}::b", "name": "B"},
        {"name": "nobody"},
        "row",
    ]
    found = hiro(json.dumps({"total": 9, "results": rows}).encode(), MAIN)
    assert isinstance(found, TokenList)
    assert (found.total, found.refused) == (9, 2)
    first, second = found.tokens
    assert first.fields == TokenFields(
        decimals=6, image="https://x/y.png", total_supply="1", identifier="coin"
    )
    assert second.fields == TokenFields(name="B", identifier="b")
    assert isinstance(hiro(b"[]", MAIN), Unusable)


@pytest.mark.parametrize("odd", [7, True, "", " ", [A], {}, None])
def test_one_odd_name_of_hiros_row_leaves_the_other(odd: Any) -> None:
    rows = [
        {"contract_principal": A, "asset_identifier": odd, "decimals": 6},
        {"contract_principal": odd, "asset_identifier": f"{B}::b", "decimals": 8},
    ]
    found = hiro(json.dumps({"total": 2, "results": rows}).encode(), MAIN)
    assert isinstance(found, TokenList)
    decimals = {token.contract_id: token.fields.decimals for token in found.tokens}
    assert decimals == {A: 6, B: 8}


def test_the_recorded_dirty_records_are_all_tokens() -> None:
    rows = json.loads(shared_data("charisma/metadata-updates.json").read_text())
    found = listed(*(row["metadata"] for row in rows))
    assert (len(found.tokens), found.refused) == (len(rows), 0)
    assert all(token.fields.decimals is not None for token in found.tokens)


def test_the_recorded_metadata_of_hiro_is_read_as_it_stands() -> None:
    examples = json.loads(
        shared_data("stacks/token_metadata_examples.json").read_text()
    )
    bodies = [
        e["body"] for e in examples["examples"] if e["status"] == 200 and "body" in e
    ]
    found = hiro(json.dumps({"total": 9, "results": bodies}).encode(), MAIN)
    assert isinstance(found, TokenList)
    by_id = {token.contract_id: token.fields for token in found.tokens}
    for body in bodies:
        contract = body["asset_identifier"].partition("::")[0]
        assert by_id[contract].symbol == body["symbol"]
    absent = [body for body in bodies if "decimals" not in body]
    for body in absent:
        contract = body["asset_identifier"].partition("::")[0]
        assert by_id[contract].decimals is None
