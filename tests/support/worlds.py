"""Small worlds, in which everything collides: few names, few moments, few amounts."""

from hashlib import sha256
from typing import Any

from hypothesis import strategies as st

from tests.support.oracle.text import canonical

USERS = ("SP466FNC0P7JWTNM2R9T199QRZN1MYEDTAR0KP27",)
TOKENS = (".stx", f"{USERS[0]}.alpha", f"{USERS[0]}.beta")
SUBNETS = (f"{USERS[0]}.alpha-subnet", f"{USERS[0]}.beta-subnet")
APPENDED_MS = 10_000_000

# A topic, a key and a value.
Entry = tuple[str, bytes | None, bytes | None]

users, tokens = st.sampled_from(USERS), st.sampled_from(TOKENS)
subnets = st.sampled_from(SUBNETS)
sources = st.sampled_from(["contract", "hiro", "a", "b"])
moments = st.fixed_dictionaries(
    {
        "observedAt": st.one_of(
            st.integers(0, 4),
            st.sampled_from([900_000, 900_004, APPENDED_MS + 60_001]),
        ),
        "sequence": st.integers(0, 1),
    }
)
amounts = st.sampled_from(["0", "1", "2", "-1", str(2**128 - 1), str(2**128)])
totals = st.none() | st.sampled_from(["0", "7", "-7"])
prices = st.sampled_from(
    ["1", "1.01", "1.02", "3", "0.000000000000000001", "0.000000000000000002", "9" * 20]
)
changes = st.none() | st.fixed_dictionaries({"change24h": st.sampled_from(["1", "-2"])})


def said(schema: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An observation of a kind, with some moment."""
    named = st.fixed_dictionaries({"schema": st.just(f"{schema}/1"), **fields})
    return st.tuples(named, moments).map(lambda drawn: drawn[0] | drawn[1])


holdings = st.lists(
    st.fixed_dictionaries(
        {
            "contractId": tokens,
            "balance": amounts,
            "totalSent": totals,
            "totalReceived": totals,
        }
    ),
    max_size=3,
    unique_by=lambda holding: holding["contractId"],
)
# A time before 2009 counts for nothing; one after it is later than any of these moments.
source_times = st.none() | st.sampled_from([3, 2_000_000_000_000])
price = said(
    "price.observed",
    contractId=tokens,
    source=sources,
    usd=prices,
    market=changes,
    sourceTime=source_times,
)
reading = said("account.read", userId=users, source=sources, holdings=holdings)
subnet = said(
    "subnet.read",
    userId=users,
    subnetId=subnets,
    baseId=tokens,
    source=sources,
    balance=amounts,
)
forgotten = said("user.forgotten", userId=users)
words = st.none() | st.sampled_from(["x", "y"])
token = said(
    "token.observed",
    contractId=tokens,
    source=sources,
    fields=st.fixed_dictionaries({"name": words, "symbol": words}),
)


@st.composite
def confirmations(draw: st.DrawFn, readings: list[dict[str, Any]]) -> dict[str, Any]:
    """A confirmation of one of the readings, or of one that nobody made."""
    of = draw(st.sampled_from([*readings, {}]))
    reading_hash = st.just(sha256(canonical(of)).hexdigest())
    confirmed = said(
        "account.confirmed", userId=users, source=sources, reading=reading_hash
    )
    found: dict[str, Any] = draw(confirmed)
    return found


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    """What stands in the raw topics of one shard, by topic or mixed."""
    readings = draw(st.lists(reading, max_size=4))
    one = st.one_of(price, subnet, forgotten, token, confirmations(readings))
    if readings:
        one = st.one_of(one, st.sampled_from(readings))
    seen = draw(st.lists(one, max_size=25)) + readings
    return [_entry(value) for value in draw(st.permutations(seen))]


@st.composite
def accounts(draw: st.DrawFn) -> list[Entry]:
    """One user's account in nearly the order of its moments: what follows what."""
    sound = st.sampled_from(["0", "1", "2", "3", "-1"])
    alpha = st.fixed_dictionaries({"contractId": st.just(TOKENS[1]), "balance": sound})
    beta = st.fixed_dictionaries({"contractId": st.just(TOKENS[2]), "balance": sound})
    held = st.tuples(st.none() | alpha, st.none() | beta).map(
        lambda two: [one for one in two if one]
    )
    source = st.sampled_from(["a", "a", "a", "b"])
    read = said("account.read", userId=users, source=source, holdings=held)
    layer = {"subnetId": subnets, "baseId": tokens, "source": source, "balance": sound}
    readings = draw(st.lists(read.map(_soon), min_size=2, max_size=6))
    confirmed = confirmations(readings).map(_soon)
    other = st.one_of(confirmed, confirmed, said("subnet.read", userId=users, **layer))
    seen = readings + draw(st.lists(st.one_of(other, forgotten.map(_soon)), max_size=8))
    ordered = sorted(seen, key=lambda one: (one["observedAt"], one["sequence"]))
    # A few stand a few places too late.
    for at in draw(st.lists(st.integers(0, len(seen) - 1), max_size=3)):
        ordered.insert(at + 2, ordered.pop(at))
    return [_entry(one) for one in ordered]


@st.composite
def quotes(draw: st.DrawFn) -> list[Entry]:
    """Quotes of one token over some hours: moves, jumps, pauses, sources that rest.

    Each source has its own habits: some give a time, some repeat what they said.
    """
    now = 1_800_000_000_000
    usual = st.sampled_from(["1", "1.01", "0.99", "1.1", "0.123456789012345678901"])
    far = st.sampled_from(["11", "0.09", "120", "610000"])
    said: list[Entry] = []
    last: dict[str, str] = {}
    for _ in range(draw(st.integers(1, 30))):
        now += draw(st.sampled_from([0, 1, 5_000, 600_000, 899_999, 1_200_000]))
        name = draw(st.sampled_from(["a", "b", "c", "d"][: draw(st.integers(1, 4))]))
        usd = draw(st.one_of(usual, usual, far, st.just(last.get(name, "1"))))
        last[name] = usd
        ago = draw(st.sampled_from([None, 0, 0, 800_000, 3_000_000, -5]))
        quote = {
            "schema": "price.observed/1",
            "contractId": TOKENS[1],
            "source": name,
            "usd": usd,
            "observedAt": now - draw(st.sampled_from([0, 0, 0, 7_000])),
            "sequence": draw(st.integers(0, 1)),
            "sourceTime": None if ago is None else now - ago,
        }
        said.append(_entry(quote))
    return said


def _soon(seen: dict[str, Any]) -> dict[str, Any]:
    """Return an observation at one of a few moments."""
    return seen | {"observedAt": seen["observedAt"] % 10}


def _entry(value: dict[str, Any]) -> Entry:
    kind = value["schema"]
    if kind.startswith("price"):
        return "prices.raw", value["contractId"].encode(), canonical(value)
    if kind.startswith("token"):
        return "tokens.raw", value["contractId"].encode(), canonical(value)
    return "balances.raw", value["userId"].encode(), canonical(value)


settings = st.fixed_dictionaries(
    {
        "priceMaxAgeMs": st.sampled_from([0, 2, 900_000]),
        "priceDeviation": st.sampled_from(["0", "0.01", "1"]),
        "priceFrozenMs": st.sampled_from([0, 1, 3_600_000]),
        "priceJumpFactor": st.sampled_from([0, 2, 10]),
        "futureToleranceMs": st.just(60_000),
        "tokenSources": st.lists(sources, unique=True),
    }
)
