"""Hypothesis strategies for every record of every topic."""

import json
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from schemas.amounts import EXACT, plain
from schemas.balances import (
    AccountConfirmed,
    AccountRead,
    Balance,
    Holding,
    MainnetPart,
    SubnetPart,
    SubnetRead,
    UserForgotten,
)
from schemas.base import MAX_INT, Event
from schemas.c32 import encode_address
from schemas.demand import Lease, Refresh, RefreshKind
from schemas.ids import STX, ContractId, Network, UserId
from schemas.journal import (
    Barrier,
    CommitV1,
    CommitV2,
    FoldSettings,
    FoldSettingsV1,
    InputRange,
    Origin,
    OutputDigest,
    Position,
)
from schemas.log import LogIdentity, Observed, Term, Terms, Unquoted, Watermark, World
from schemas.prices import Market, Price, PriceObserved
from schemas.rejects import Reason, Reject
from schemas.tokens import Token, TokenFields, TokenObserved

addresses = st.builds(
    encode_address, st.sampled_from([20, 22]), st.binary(min_size=20, max_size=20)
)
contract_ids = st.one_of(
    st.just(STX),
    st.builds(
        lambda address, name: ContractId(f"{address}.{name}"),
        addresses,
        st.from_regex("[a-zA-Z][a-zA-Z0-9_-]{0,39}", fullmatch=True),
    ),
)
user_ids = addresses.map(UserId)
millis = st.integers(0, MAX_INT)
counts = st.integers(0, MAX_INT)
versions = st.integers(1, MAX_INT)
sources = st.from_regex("[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True)
# Every price of at most 18 places, and nothing to filter away.
prices = st.integers(1, 10**38 - 1).map(lambda n: plain(Decimal(n).scaleb(-18, EXACT)))
amounts = st.integers(0, 2**128 - 1).map(str)
amounts_said = st.integers(-(10**39) + 1, 10**39 - 1).map(str)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ratios = st.integers(-(10**6), 10**6).map(lambda n: f"{n}")
hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
origins = st.builds(Origin, st.just("prices.raw"), st.integers(0, 9), counts)
topics = st.sampled_from(["prices.raw", "balances.raw", "tokens.raw"])


def build(
    kind: type[Event], /, **fields: st.SearchStrategy[Any]
) -> st.SearchStrategy[Any]:
    """Build a model by its field names; ``st.builds`` would add the JSON names."""
    return st.fixed_dictionaries(fields).map(lambda drawn: kind(**drawn))


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


markets = build(
    Market,
    change1h=maybe(ratios),
    change24h=maybe(ratios),
    change7d=maybe(ratios),
    market_cap=maybe(ratios),
)
observed = {"source": sources, "observed_at": millis, "sequence": counts}
holdings = build(
    Holding,
    contract_id=contract_ids,
    asset=maybe(texts),
    balance=amounts_said,
    total_sent=maybe(amounts_said),
    total_received=maybe(amounts_said),
)
fields = build(
    TokenFields,
    name=maybe(texts),
    symbol=maybe(texts),
    decimals=maybe(st.integers(0, 38)),
    type=maybe(texts),
    total_supply=maybe(amounts),
    base=maybe(contract_ids),
    lp_rebate_percent=maybe(ratios),
    last_updated=maybe(st.integers(0, 2**53 - 1)),
    verified=maybe(st.booleans()),
)
ranges = build(InputRange, start=counts, end=counts, count=counts, sha256=hashes)
digests = build(OutputDigest, count=counts, sha256=hashes)
of_generation_1: dict[str, Any] = {
    "price_max_age_ms": counts,
    "price_deviation": st.sampled_from(["0", "0.005", "1"]),
    "future_tolerance_ms": counts,
    "token_sources": st.lists(sources, max_size=4).map(tuple),
}
fold_settings_v1 = build(FoldSettingsV1, **of_generation_1)
fold_settings = build(
    FoldSettings,
    price_frozen_ms=counts,
    price_jump_factor=st.just(0) | st.integers(2, 1_000_000),
    **of_generation_1,
)
committed: dict[str, Any] = {
    "shard": counts,
    "commit": versions,
    "log_time": millis,
    "inputs": st.dictionaries(topics, ranges),
    "decisions": st.dictionaries(texts, counts, max_size=3),
    "published": digests,
    "rejects": digests,
    "generation": versions,
    "previous": hashes,
}
published = {
    "version": versions,
    "observed_at": millis,
    "origins": st.lists(origins, max_size=3).map(tuple),
}

EVENTS: dict[type[Event], st.SearchStrategy[Any]] = {
    PriceObserved: build(
        PriceObserved,
        contract_id=contract_ids,
        usd=prices,
        source_time=maybe(millis),
        market=maybe(markets),
        **observed,
    ),
    Price: build(
        Price, contract_id=contract_ids, usd=prices, market=maybe(markets), **published
    ),
    AccountRead: build(
        AccountRead,
        user_id=user_ids,
        holdings=st.lists(
            holdings, max_size=4, unique_by=lambda held: held.contract_id
        ).map(tuple),
        others=st.lists(holdings, max_size=2).map(tuple),
        **observed,
    ),
    AccountConfirmed: build(
        AccountConfirmed, user_id=user_ids, reading=hashes, **observed
    ),
    SubnetRead: build(
        SubnetRead,
        user_id=user_ids,
        subnet_id=contract_ids,
        base_id=contract_ids,
        balance=amounts_said,
        **observed,
    ),
    UserForgotten: build(
        UserForgotten, user_id=user_ids, observed_at=millis, sequence=counts
    ),
    Balance: build(
        Balance,
        user_id=user_ids,
        contract_id=contract_ids,
        mainnet=maybe(
            build(
                MainnetPart,
                balance=amounts,
                total_sent=maybe(amounts),
                total_received=maybe(amounts),
                observed_at=millis,
            )
        ),
        subnets=st.dictionaries(
            contract_ids,
            build(SubnetPart, balance=amounts, observed_at=millis),
            max_size=3,
        ),
        **published,
    ),
    TokenObserved: build(
        TokenObserved, contract_id=contract_ids, fields=fields, **observed
    ),
    Token: build(Token, contract_id=contract_ids, fields=fields, **published),
    CommitV1: build(CommitV1, settings=fold_settings_v1, **committed),
    CommitV2: build(CommitV2, settings=fold_settings, log=hashes, **committed),
    Position: build(
        Position,
        commit=counts,
        chain=hashes,
        log_time=millis,
        positions=st.dictionaries(topics, counts),
    ),
    Barrier: build(Barrier, owner=texts),
    Reject: build(
        Reject,
        origin=origins,
        reason=st.sampled_from(Reason),
        field=texts,
        original=st.just("e30="),
        size=counts,
    ),
    Lease: build(
        Lease,
        user_id=user_ids,
        edge=st.just("edge-1"),
        renewed_at=millis,
        expires_at=millis,
    ),
    Refresh: build(Refresh, kind=st.sampled_from(RefreshKind), requested_at=millis),
    LogIdentity: build(
        LogIdentity,
        id=st.just("0" * 32),
        network=st.sampled_from(Network),
        world=st.sampled_from(World),
        partitions=st.integers(1, 1024),
        created_at=millis,
    ),
    Watermark: build(Watermark, shard=counts, log_time=millis),
    Observed: build(
        Observed,
        shard=counts,
        prices=st.none() | millis,
        balances=st.none() | millis,
        tokens=st.none() | millis,
    ),
    Unquoted: build(
        Unquoted,
        shard=counts,
        count=counts,
        prices=st.dictionaries(contract_ids, millis, max_size=3),
    ),
    Terms: build(
        Terms,
        shard=counts,
        terms=st.lists(
            st.builds(
                Term,
                id=st.from_regex("[0-9a-f]{12}", fullmatch=True),
                start=counts,
                started_at=millis,
            ),
            min_size=1,
            max_size=3,
        ).map(tuple),
    ),
}


def as_json(event: Event) -> Any:
    """Return an event as plain JSON values, to be changed by a test."""
    return json.loads(event.model_dump_json(by_alias=True))
