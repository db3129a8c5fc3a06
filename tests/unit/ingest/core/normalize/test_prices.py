"""Prices of the three sources: which rows are observations."""

import json
from typing import Any

import pytest

from ingest.core.normalize.body import Unusable
from ingest.core.normalize.prices import (
    SOURCES,
    PriceList,
    internal,
    kraxel,
    observed,
    stxtools,
)
from schemas.ids import Network
from schemas.prices import Market
from tests.support.shared_data import shared_data

CHA = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS.charisma-token"
LEO = "SP1AY6K3PQV5MRT6R4S671NWW2FRVPKM0BR162CT6.leo-token"
MAIN = Network.MAINNET


def body(said: Any) -> bytes:
    return json.dumps(said).encode()


def prices(listed: PriceList | Unusable) -> dict[str, str]:
    assert isinstance(listed, PriceList)
    return {said.contract_id: said.usd for said in listed.prices}


def counts(listed: PriceList | Unusable) -> tuple[int, int, int]:
    assert isinstance(listed, PriceList)
    return listed.silent, listed.refused, listed.rows


def test_kraxel_is_a_flat_object_of_numbers() -> None:
    said = b'{"%s": 0.46840046942724306, "%s": 2e-5, "x": 1}' % (
        CHA.encode(),
        LEO.encode(),
    )
    listed = kraxel(said, MAIN)
    assert prices(listed) == {CHA: "0.46840046942724306", LEO: "0.00002"}
    assert counts(listed) == (0, 1, 3)


@pytest.mark.parametrize("said", [{"stx": 0.6, ".stx": 0.5}, {".stx": 0.5, "stx": 0.6}])
def test_of_stx_and_its_normal_form_the_exact_spelling_counts(said: Any) -> None:
    assert prices(kraxel(body(said), MAIN)) == {".stx": "0.5"}


def test_a_null_beside_a_price_of_stx_does_not_silence_it() -> None:
    assert prices(kraxel(body({".stx": None, "stx": 0.6}), MAIN)) == {".stx": "0.6"}


@pytest.mark.parametrize("price", [0, -1, 1e-19, 1e20, "0.5", True, [1]])
def test_what_is_no_price_is_refused(price: Any) -> None:
    assert counts(kraxel(body({CHA: price}), MAIN)) == (0, 1, 1)


def test_a_null_price_is_silence_and_not_zero() -> None:
    listed = kraxel(body({CHA: None}), MAIN)
    assert prices(listed) == {}
    assert counts(listed) == (1, 0, 1)


def test_ids_of_another_network_are_refused() -> None:
    assert counts(kraxel(body({CHA: 1}), Network.TESTNET)) == (0, 1, 1)


def test_stxtools_rows_need_a_price_and_carry_the_market() -> None:
    metrics = {
        "price_usd": 0.46,
        "price_change_1d": -1.5,
        "price_change_7d": None,
        "marketcap_usd": 1234567.891,
    }
    rows = [
        {"contract_id": CHA, "metrics": metrics, "symbol": None},
        {"contract_id": LEO, "metrics": {"price_usd": None}},
        {"contract_id": LEO, "metrics": {"price_usd": 1, "price_change_1d": "?"}},
        {"contract_id": LEO, "metrics": None},
        {"metrics": metrics},
        "row",
    ]
    listed = stxtools(body({"data": rows}), MAIN)
    assert prices(listed) == {CHA: "0.46", LEO: "1"}
    assert counts(listed) == (1, 3, 6)
    assert isinstance(listed, PriceList)
    markets = {said.contract_id: said.market for said in listed.prices}
    assert markets[CHA] == Market(change24h="-1.5", market_cap="1234567.891")  # type: ignore[index]
    assert markets[LEO] is None  # type: ignore[index]


def test_a_ratio_beyond_all_bounds_is_left_out() -> None:
    metrics = {"price_usd": 1, "marketcap_usd": 1e30}
    listed = stxtools(body({"data": [{"contract_id": CHA, "metrics": metrics}]}), MAIN)
    assert isinstance(listed, PriceList)
    assert listed.prices[0].market is None


def row(token: str, usd: Any, confidence: Any, **more: Any) -> dict[str, Any]:
    return {"tokenId": token, "usdPrice": usd, "confidence": confidence, **more}


def test_internal_rows_need_a_price_and_confidence_above_a_tenth() -> None:
    rows = [
        row(CHA, 0.5, 0.97, lastUpdated=1_750_625_214_265),
        row(LEO, 0.2, 0.1),
        row("stx", 0.6, 1, lastUpdated="soon"),
        row(".stx", None, 1),
        row("nope", 1, 1),
        {"usdPrice": 1},
    ]
    listed = internal(body({"status": "success", "data": rows}), MAIN)
    assert prices(listed) == {CHA: "0.5", ".stx": "0.6"}
    assert counts(listed) == (2, 2, 6)
    assert isinstance(listed, PriceList)
    times = {said.contract_id: said.source_time for said in listed.prices}
    assert list(times.values()) == [1_750_625_214_265, None]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("kraxel", []),
        ("kraxel", "html"),
        ("stxtools", {"data": {}}),
        ("stxtools", []),
        ("internal", {"status": "error", "data": []}),
        ("internal", {"data": []}),
        ("internal", {"status": "success"}),
    ],
)
def test_a_body_of_another_shape_is_unusable(source: str, said: Any) -> None:
    assert isinstance(SOURCES[source](body(said), MAIN), Unusable)


@pytest.mark.parametrize("source", SOURCES)
def test_a_truncated_body_is_unusable(source: str) -> None:
    assert isinstance(SOURCES[source](b'{"data": [', MAIN), Unusable)


def test_an_observation_has_the_moment_of_the_answer() -> None:
    listed = kraxel(body({CHA: 1.5}), MAIN)
    assert isinstance(listed, PriceList)
    [seen] = observed(listed.prices, source="kraxel", observed_at=7)
    assert (seen.contract_id, seen.usd, seen.observed_at) == (CHA, "1.5", 7)


def test_the_recorded_cases_are_read_by_id_and_never_by_symbol() -> None:
    cases = json.loads(shared_data("charisma/price_aggregation_cases.json").read_text())
    for case in cases["cases"]:
        for source, read in SOURCES.items():
            said = case.get(source) or {}
            if said.get("failed") or not said.get("body"):
                continue
            answer = (
                {"status": "success", **said["body"]}
                if source == "internal"
                else said["body"]
            )
            listed = read(body(answer), MAIN)
            assert isinstance(listed, PriceList), case["name"]
            assert all("." in contract for contract in prices(listed))
