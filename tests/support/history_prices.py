"""Bars and trades of real markets as prices that sources said.

A bar says its closing price when it ends. Each market is a source of the token it
prices; bars of a second and the two sides of a quote are sources of their own, so that
some sources agree, some disagree, and some fall silent for years.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.support.history_types import Observation, observation
from tests.support.shared_data import shared_data

# Made up: a valid id under an address that is nobody's (its hash is 20 times 01).
_ISSUER = "SPG2081040G2081040G2081040G208107P280EP"
_SECOND_MS, _MINUTE_MS = 1_000, 60_000
_MARKETS = {
    "btcusd": "bitcoin",
    "btcusdt": "bitcoin",
    "btcbusd": "bitcoin",
    "btceur": "bitcoin-euro",
    "ethusd": "ether",
    "ltcusd": "litecoin-usd",
}


def price_files() -> Iterator[tuple[str, Sequence[Observation]]]:
    """Yield a name and the prices of each file of market data."""
    for path in sorted(shared_data("prices/lean_minute").glob("*.csv")):
        yield path.stem, list(_quotes(path) if "quote" in path.stem else _bars(path))
    yield "trades", list(_trades(shared_data("prices/questdb_btc_trades.csv")))


def _bars(path: Path) -> Iterator[Observation]:
    venue, market, width, *_ = path.stem.split("_")
    seconds = width == "second"
    source = f"{venue}-seconds" if seconds else venue
    width_ms = _SECOND_MS if seconds else _MINUTE_MS
    for row in _rows(path):
        yield _price(market, source, row["close"], int(row["ts_ms"]) + width_ms)


def _quotes(path: Path) -> Iterator[Observation]:
    market = path.stem.split("_")[1]
    for row in _rows(path):
        for side in ("bid", "ask"):
            at = int(row["ts_ms"]) + _MINUTE_MS
            yield _price(market, side, row[f"{side}_close"], at)


def _trades(path: Path) -> Iterator[Observation]:
    """Yield single trades; of those in one millisecond each has the next sequence."""
    last_ms = sequence = 0
    for row in _rows(path):
        moment = datetime.fromisoformat(row["timestamp"])
        at = int(moment.timestamp() * 1_000)
        sequence = sequence + 1 if at == last_ms else 0
        last_ms = at
        yield _price("btcusd", "trades", row["price"], at, sequence)


def _price(
    market: str, source: str, said: str, at: int, sequence: int = 0
) -> Observation:
    return observation(
        "price.observed",
        contractId=f"{_ISSUER}.{_MARKETS[market]}",
        source=source,
        usd=_plain(said),
        observedAt=at,
        sequence=sequence,
    )


def _plain(said: str) -> str:
    """Return a number as records write it: no exponent, no zeros behind."""
    text = format(Decimal(said), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(newline="") as opened:
        yield from csv.DictReader(opened)
