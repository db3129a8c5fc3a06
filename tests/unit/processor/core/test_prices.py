"""The fold of prices: cases, and the laws that hold of any quotes."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.port import Record
from processor.core.observations import read_price
from processor.core.prices import (
    Doubt,
    Judgement,
    Quote,
    TokenPrice,
    doubts_about,
    judge,
    quote_time,
)
from processor.core.rules import Rules
from schemas.amounts import cut, plain
from schemas.base import encode
from schemas.journal import FoldSettings, Origin
from schemas.prices import Market, Price, PriceObserved
from schemas.states import MAX_SOURCES
from tests.support.folding import ALPHA, SHARD, Folding, price

KEY = "price:ALPHA"
T0, HOUR_MS, MINUTE_MS = 1_800_000_000_000, 3_600_000, 60_000
LATER = 2**52


def at_any_time(**settings: Any) -> Folding:
    return Folding(future_tolerance_ms=2**52, **settings)


def dated(usd: str, source: str, at: int, source_time: int | None) -> PriceObserved:
    """A quote whose source says when it was true."""
    return price(usd, source, at).model_copy(update={"source_time": source_time})


def published(folding: Folding, events: Sequence[PriceObserved]) -> list[str]:
    """Return the prices published on these quotes, in order."""
    values = [folding.tell(event).values.get(KEY) for event in events]
    return [value.usd for value in values if isinstance(value, Price)]


def decisions(folding: Folding, events: Sequence[PriceObserved]) -> list[str]:
    return [next(iter(folding.tell(event).decisions)) for event in events]


def token_of(folding: Folding) -> TokenPrice:
    token: TokenPrice = folding.state.open("prices.raw", ALPHA.encode())
    return token


# ---- what is held


@pytest.mark.parametrize(
    ("second", "decision"),
    [
        pytest.param(price("2", at=6), "published", id="moved"),
        pytest.param(price("1", at=6), "unchanged", id="same price"),
        pytest.param(price("1", at=5), "duplicate", id="same moment, same price"),
        pytest.param(price("2", at=5), "rejected", id="same moment, other price"),
        pytest.param(price("2", at=5, sequence=1), "published", id="later sequence"),
        pytest.param(price("2", at=4, sequence=9), "stale", id="earlier moment"),
        pytest.param(price("1", "b", at=4), "unchanged", id="another source, equal"),
    ],
)
def test_a_second_quote(second: PriceObserved, decision: str) -> None:
    assert decisions(Folding(), [price("1", at=5), second]) == ["published", decision]


def test_a_token_takes_the_quotes_of_so_many_sources() -> None:
    folding = Folding()
    told = folding.tell_all([price("1", f"s{n}") for n in range(MAX_SOURCES + 1)])
    assert told.refused == ("full",)
    assert folding.tell(price("1", "s0", at=2)).decisions == {"unchanged": 1}


def test_a_copy_shares_nothing_that_changes() -> None:
    folding = Folding()
    folding.tell(price("1"))
    before = token_of(folding)
    copied = before.copy()
    copied.quotes.clear()
    assert before.quotes


# ---- the value


@pytest.mark.parametrize(
    ("said", "usd"),
    [
        pytest.param(["3"], "3", id="one"),
        pytest.param(["1", "2"], "1", id="of two that which was published"),
        pytest.param(["2", "1"], "2", id="of two that which was published, above"),
        pytest.param(["1", "5", "2"], "2", id="the middle of three"),
        pytest.param(
            ["1", "5", "2", "3"], "2", id="of four the one near the reference"
        ),
        pytest.param(["10", "9", "2"], "9", id="by number, not by text"),
        pytest.param(["3", "2", "4", "1", "5"], "3", id="the middle of five"),
        pytest.param(
            ["0.1234567890123456785"], "0.123456789012345678", id="half to even, down"
        ),
        pytest.param(
            ["0.1234567890123456775"], "0.123456789012345678", id="half to even, up"
        ),
        pytest.param(["1234567890123456789.5"], "1234567890123456789.5", id="long"),
    ],
)
def test_the_price_of_quotes_that_come_one_after_the_other(
    said: list[str], usd: str
) -> None:
    events = [price(usd, source) for usd, source in zip(said, "abcde", strict=False)]
    assert published(Folding(), events)[-1] == usd


@pytest.mark.parametrize("said", list(permutations(["1", "2", "10"])), ids="-".join)
def test_of_three_the_middle_one_counts_whoever_said_it(said: tuple[str, ...]) -> None:
    events = [price(word, source) for word, source in zip(said, "abc", strict=True)]
    assert published(Folding(), events)[-1:] in (["2"], [])


@pytest.mark.parametrize(
    ("low", "high", "usd"),
    [
        pytest.param("0.9", "1.2", "0.9", id="the lower one is nearer"),
        pytest.param("0.8", "1.2", "1.2", id="the higher one is nearer"),
        pytest.param("0.5", "2", "0.5", id="of equals the lower one"),
        pytest.param(
            "0.499999999999999999999999999999999999",
            "2.000000000000000000000000000000000001",
            "2.000000000000000000000000000000000001",
            id="nearer by the last of 36 places",
        ),
    ],
)
def test_of_two_that_leave_the_reference_the_nearer_by_ratio_is_the_price(
    low: str, high: str, usd: str
) -> None:
    """While the first is alone, the reference stays where two had agreed."""
    folding = at_any_time(price_max_age_ms=10)
    folding.tell_all([price("1", source, at=1) for source in "ab"])
    moved = [price(low, "a", at=20), price(high, "b", at=20)]
    assert published(folding, moved)[-1] == plain(cut(Decimal(usd)))


def test_a_value_names_the_quotes_it_was_derived_from_by_source() -> None:
    folding = Folding()
    folding.tell(price("1", "a", at=5))
    folding.tell(price("3", "b", at=7))
    (value,) = folding.tell(price("2", "a", at=6)).values.values()
    assert value == Price(
        contract_id=ALPHA,
        usd="2",
        version=2,
        observed_at=7,
        origins=(Origin("prices.raw", SHARD, 2), Origin("prices.raw", SHARD, 1)),
    )


DAY, HOUR = Market(change24h="1"), Market(change1h="2")


@pytest.mark.parametrize(
    ("events", "market"),
    [
        pytest.param([price("1")], None, id="nobody has one"),
        pytest.param([price("1", market=DAY)], DAY, id="the only one"),
        pytest.param(
            [
                price("1", "b", at=1, market=HOUR),
                price("1", "c", at=1),
                price("2", "a", at=2, market=DAY),
                price("2", "c", at=2),
            ],
            DAY,
            id="that of the latest quote",
        ),
        pytest.param(
            [
                price("1", "b", at=2, market=HOUR),
                price("1", "c", at=1),
                price("2", "a", at=2, market=DAY),
                price("2", "c", at=2),
            ],
            HOUR,
            id="of equals that of the last name",
        ),
    ],
)
def test_the_market_of_a_value(
    events: list[PriceObserved], market: Market | None
) -> None:
    folding = Folding()
    values = [folding.tell(event).values.get(KEY) for event in events]
    last = [value for value in values if isinstance(value, Price)][-1]
    assert last.market == market


@pytest.mark.parametrize(
    ("deviation", "second", "decision"),
    [
        pytest.param("0.01", "101", "unchanged", id="at the limit above"),
        pytest.param("0.01", "99", "unchanged", id="at the limit below"),
        pytest.param("0.01", "101.000000000000000001", "published", id="just above"),
        pytest.param("0.01", "98.999999999999999999", "published", id="just below"),
        pytest.param("1", "200", "unchanged", id="the whole"),
        pytest.param("0", "100.000000000000000001", "published", id="any"),
    ],
)
def test_a_small_change_is_not_published(
    deviation: str, second: str, decision: str
) -> None:
    folding = Folding(price_deviation=deviation)
    assert decisions(folding, [price("100", at=1), price(second, at=2)])[1] == decision


def test_a_change_too_small_to_publish_leaves_the_reference_at_the_published_price() -> (
    None
):
    folding = Folding(price_deviation="0.1")
    folding.tell_all([price("100", "a"), price("100", "b"), price("105", "a", at=2)])
    folding.tell(price("105", "b", at=2))
    assert token_of(folding).reference == Decimal(100)


def test_a_jump_is_looked_for_before_the_deviation() -> None:
    folding = Folding(price_deviation="1", price_jump_factor=2)
    assert decisions(folding, [price("100"), price("49", at=2)])[1] == "suspect"


# ---- which quotes count


@pytest.mark.parametrize(
    ("source_time", "time"),
    [
        pytest.param(None, T0, id="none"),
        pytest.param(T0 - 5, T0 - 5, id="earlier than we asked"),
        pytest.param(T0 + 5, T0, id="later than we asked"),
        pytest.param(1_230_768_000_000, 1_230_768_000_000, id="2009 begins"),
        pytest.param(1_230_767_999_999, T0, id="before 2009"),
        pytest.param(T0 // 1_000, T0, id="in seconds"),
        pytest.param(0, T0, id="zero"),
    ],
)
def test_the_time_of_a_quote(source_time: int | None, time: int) -> None:
    assert quote_time(T0, source_time) == time


def test_a_source_far_behind_drops_out_and_comes_back() -> None:
    folding = Folding(price_max_age_ms=10)
    assert published(folding, [price("1", "a", at=0), price("9", "b", at=11)]) == [
        "1",
        "9",
    ]
    (value,) = folding.tell(price("8", "b", at=12)).values.values()
    assert isinstance(value, Price)
    assert value.origins == (Origin("prices.raw", SHARD, 2),)
    assert published(folding, [price("8.5", "a", at=12)]) == []
    assert len(token_of(folding).counting(RULES)) == 2


RULES = Rules.of(FoldSettings(price_max_age_ms=10), shard=SHARD)


def test_a_source_that_says_how_old_its_price_is_drops_out_by_that() -> None:
    """The observation is new each time; what it says is of the same old moment."""
    folding = at_any_time()
    frozen = [dated("0.5", "b", T0 + n * MINUTE_MS, T0) for n in range(1, 120)]
    moving = [price(f"0.{61 + n % 9}", "a", T0 + n * MINUTE_MS) for n in range(1, 120)]
    pairs = [event for both in zip(moving, frozen, strict=True) for event in both]
    folding.tell_all(pairs)
    token = token_of(folding)
    assert [quote.source for quote in token.counting(TOLERANT)] == ["a"]
    assert token.usd == token.quotes["a"].usd


TOLERANT = Rules.of(FoldSettings(), shard=SHARD)


def test_a_source_that_goes_back_to_an_older_time_of_its_own_drops_out() -> None:
    folding = at_any_time()
    late, early = T0 + 10 * HOUR_MS, T0 + HOUR_MS
    events = [
        dated("1", "a", late, late),
        dated("1", "b", late, late),
        dated("2", "a", late + 1, early),
        dated("3", "b", late + 2, late + 2),
    ]
    assert published(folding, events) == ["1", "3"]
    assert token_of(folding).oldest == early


def test_where_no_quote_counts_nothing_is_published() -> None:
    folding = at_any_time()
    old = [dated(f"{n}", "a", T0 + n * HOUR_MS, T0) for n in (1, 2)]
    assert decisions(folding, old) == ["unchanged", "unchanged"]
    assert decisions(folding, [price("3", "a", T0 + 3 * HOUR_MS)]) == ["published"]


def test_the_observed_time_of_a_value_never_steps_back() -> None:
    """The newest observation does not count, and what counts is observed earlier."""
    folding = at_any_time()
    folding.tell(price("1", "a", T0 + 100))
    folding.tell(dated("1", "b", T0 + HOUR_MS, T0 + HOUR_MS))
    folding.tell(dated("2", "b", T0 + HOUR_MS + 1, T0 + HOUR_MS))
    folding.tell(dated("2", "b", T0 + HOUR_MS + 900_001, T0 + HOUR_MS))
    (value,) = folding.tell(price("3", "a", T0 + HOUR_MS + 1)).values.values()
    assert isinstance(value, Price)
    assert (value.usd, value.observed_at) == ("3", T0 + HOUR_MS + 1)
    assert [origin.offset for origin in value.origins] == [4]


def moving(source: str, *, changes: int, each_ms: int = 10 * MINUTE_MS) -> list[Any]:
    return [price(f"1.{n + 1}", source, T0 + n * each_ms) for n in range(changes + 1)]


def still(source: str, *, until_ms: int, each_ms: int = 10 * MINUTE_MS) -> list[Any]:
    moments = [*range(0, until_ms, each_ms), until_ms]
    return [price("1", source, T0 + at) for at in moments]


@pytest.mark.parametrize(
    ("until_ms", "changes", "counts"),
    [
        pytest.param(HOUR_MS, 6, ["a", "b"], id="repeated for an hour"),
        pytest.param(HOUR_MS + 1, 6, ["a"], id="for more than an hour"),
        pytest.param(HOUR_MS + 1, 3, ["a"], id="while another changed three times"),
        pytest.param(HOUR_MS + 1, 2, ["a", "b"], id="while another changed twice"),
    ],
)
def test_a_frozen_source_does_not_count(
    until_ms: int, changes: int, counts: list[str]
) -> None:
    each_ms = HOUR_MS // changes
    events = [*moving("a", changes=changes, each_ms=each_ms)]
    events += still("b", until_ms=until_ms)
    events.sort(key=lambda event: event.observed_at)
    folding = at_any_time(price_max_age_ms=HOUR_MS)
    folding.tell_all(events)
    rules = Rules.of(folding.settings, shard=SHARD)
    assert [quote.source for quote in token_of(folding).counting(rules)] == counts
    off = Rules.of(folding.settings.model_copy(update={"price_frozen_ms": 0}), shard=0)
    assert len(token_of(folding).counting(off)) == 2


def test_two_sources_that_both_rest_both_count() -> None:
    folding = at_any_time()
    folding.tell_all(
        still("a", until_ms=5 * HOUR_MS) + still("b", until_ms=5 * HOUR_MS)
    )
    assert len(token_of(folding).counting(TOLERANT)) == 2


# ---- jumps


def test_a_jump_of_one_source_that_is_taken_back_is_never_published() -> None:
    folding = Folding()
    events = [price(usd, at=n) for n, usd in enumerate(["0.6", "610000", "0.605"])]
    assert decisions(folding, events) == ["published", "suspect", "published"]
    assert token_of(folding).suspect is None


def test_a_jump_is_confirmed_by_its_source_at_a_later_moment() -> None:
    folding = Folding()
    events = [price(usd, at=n) for n, usd in enumerate(["1", "11", "12"])]
    assert published(folding, events) == ["1", "12"]


@pytest.mark.parametrize(
    ("second", "decision"),
    [
        pytest.param("10", "published", id="the factor above is none"),
        pytest.param("10.000000000000000001", "suspect", id="just above"),
        pytest.param("0.1", "published", id="the factor below is none"),
        pytest.param("0.099999999999999999", "suspect", id="just below"),
    ],
)
def test_a_jump_is_more_than_the_factor(second: str, decision: str) -> None:
    assert decisions(Folding(), [price("1"), price(second, at=2)])[1] == decision
    off = Folding(price_jump_factor=0)
    assert decisions(off, [price("1"), price(second, at=2)])[1] == "published"


def test_another_jump_replaces_the_suspect() -> None:
    folding = Folding()
    events = [price(usd, at=n) for n, usd in enumerate(["1", "11", "200", "12", "13"])]
    assert decisions(folding, events) == [
        "published",
        "suspect",
        "suspect",
        "suspect",
        "published",
    ]


def test_a_quote_of_another_source_leaves_the_suspect() -> None:
    folding = at_any_time(price_max_age_ms=10)
    folding.tell_all([price("1", "a", T0), price("11", "a", T0 + 20)])
    suspect = token_of(folding).suspect
    assert suspect is not None
    folding.tell(dated("1", "b", T0 + 21, T0))
    assert token_of(folding).suspect == suspect
    assert decisions(folding, [price("11", "a", T0 + 22)]) == ["published"]


def test_what_another_source_says_does_not_confirm_a_suspect_for_the_first() -> None:
    """A later quote of the same source must: the same one is not said again."""
    folding = at_any_time(price_max_age_ms=10)
    folding.tell_all([price("1", "a", T0), price("11", "a", T0 + 20)])
    assert decisions(folding, [dated("1", "b", T0 + 21, T0)]) == ["suspect"]


def test_a_value_near_the_reference_is_no_jump() -> None:
    """One of two sources goes away, the other goes far, and comes back with the first."""
    folding = Folding(price_max_age_ms=10, price_jump_factor=2)
    folding.tell_all([price("1", "a", at=1), price("1", "b", at=1)])
    for step, usd in enumerate(["1.9", "3.7", "7"]):
        folding.tell(price(usd, "a", at=20 + step))
    assert decisions(folding, [price("1", "a", at=30)]) == ["published"]


def test_one_lie_of_two_sources_is_not_published() -> None:
    folding = Folding()
    events = [
        price("0.6", "kraxel", at=1),
        price("0.6", "stxtools", at=1),
        price("610000", "kraxel", at=2),
        price("0.6", "stxtools", at=2),
        price("0.605", "kraxel", at=3),
        price("0.605", "stxtools", at=3),
    ]
    assert published(folding, events) == ["0.6", "0.605"]


# ---- doubts


def doubts(*events: PriceObserved, **settings: Any) -> dict[Doubt, str]:
    folding = at_any_time(**settings)
    folding.tell_all(events)
    rules = Rules.of(folding.settings, shard=SHARD)
    return doubts_about(token_of(folding), rules)


def test_what_is_doubtful_about_a_price_is_known() -> None:
    assert doubts(price("1")) == {}
    assert doubts(price("1"), price("11", at=2)) == {Doubt.SUSPECT: "a says 11"}
    assert doubts(price("1"), price("11", "b")) == {
        Doubt.UNDECIDED: "a says 1, b says 11"
    }
    agreed = (price("1"), price("1", "b"), price("11", "b", at=2))
    assert doubts(*agreed) == {Doubt.DISAGREEMENT: "a says 1, b says 11"}
    assert doubts(*agreed, price_jump_factor=0) == {}
    frozen = sorted(
        moving("a", changes=6) + still("b", until_ms=HOUR_MS + 1),
        key=lambda event: event.observed_at,
    )
    assert doubts(*frozen, price_max_age_ms=HOUR_MS) == {Doubt.FROZEN: "b repeats 1"}


def test_with_jumps_off_two_sources_always_agree() -> None:
    folding = Folding(price_jump_factor=0)
    folding.tell_all([price("1"), price("100", "b")])
    assert token_of(folding).agreed


def test_old_quotes_are_no_doubt() -> None:
    assert doubts(dated("1", "a", T0 + HOUR_MS, T0)) == {}


# ---- laws

usds = st.sampled_from(
    ["1", "1.01", "0.5", "0.75", "9", "11", "120", "0.01", "0.1234567890123456785"]
)
steps = st.lists(
    st.tuples(st.sampled_from("abcd"), usds, st.integers(0, 40 * MINUTE_MS)),
    min_size=1,
    max_size=30,
)


def quotes_of(drawn: list[tuple[str, str, int]]) -> list[PriceObserved]:
    now, events = T0, []
    for source, usd, passed_ms in drawn:
        now += passed_ms
        events.append(price(usd, source, now))
    return events


any_settings = st.fixed_dictionaries(
    {
        "price_max_age_ms": st.sampled_from([0, HOUR_MS, LATER]),
        "price_frozen_ms": st.sampled_from([0, 30 * MINUTE_MS]),
        "price_jump_factor": st.sampled_from([0, 2, 10]),
        "price_deviation": st.sampled_from(["0", "0.02"]),
    }
)


@given(steps, any_settings)
def test_a_published_price_is_always_what_a_counting_source_said(
    drawn: list[tuple[str, str, int]], settings: dict[str, Any]
) -> None:
    folding, said = at_any_time(**settings), []
    for event in quotes_of(drawn):
        said.append(event.usd)
        for value in folding.tell(event).values.values():
            assert isinstance(value, Price)
            named = [said[origin.offset] for origin in value.origins]
            assert value.usd in [plain(cut(Decimal(usd))) for usd in named]


def ratio(one: Decimal, other: Decimal) -> Decimal:
    return max(one, other) / min(one, other)


@given(
    st.lists(usds, min_size=1, max_size=8),
    st.sampled_from(["0.000001", "0.1", "0.99", "1.01", "10", "1000000"]),
    st.integers(0, 7),
)
def test_one_of_two_sources_times_any_factor_moves_the_price_no_farther_than_the_other(
    said: list[str], factor: str, since: int
) -> None:
    """Both have agreed on 1; from some moment on one says a multiple of the other."""
    folding = at_any_time(price_jump_factor=0)
    folding.tell_all([price("1", "a", 1), price("1", "b", 1)])
    reference = Decimal(1)
    for step, usd in enumerate(said):
        lie = Decimal(usd) * Decimal(factor if step >= since else "1")
        at = 2 + step
        for event in (price(usd, "a", at), price(f"{lie.normalize():f}", "b", at)):
            folding.tell(event)
            token = token_of(folding)
            now, honest = Decimal(token.usd or ""), Decimal(token.quotes["a"].usd)
            # Never farther from where they last agreed than what the honest one says.
            assert ratio(now, reference) <= ratio(plain_cut(honest), reference)
            reference = now


def plain_cut(number: Decimal) -> Decimal:
    return Decimal(plain(cut(number)))


@given(
    st.lists(st.tuples(usds, usds), min_size=1, max_size=8),
    st.sampled_from(["0.000001", "0.1", "0.99", "1.01", "10", "1000000"]),
)
def test_one_of_three_sources_times_any_factor_leaves_the_price_between_the_others(
    said: list[tuple[str, str]], factor: str
) -> None:
    folding = at_any_time(price_jump_factor=0)
    folding.tell_all([price("1", source, 1) for source in "abc"])
    for step, (one, other) in enumerate(said):
        lie = Decimal(one) * Decimal(factor)
        words = (one, "a"), (f"{lie.normalize():f}", "c"), (other, "b")
        for usd, source in words:
            folding.tell(price(usd, source, 2 + step))
            token = token_of(folding)
            honest = [plain_cut(token.quotes[name].number) for name in "ab"]
            assert min(honest) <= Decimal(token.usd or "") <= max(honest)


@given(
    st.integers(1, 6).flatmap(lambda n: st.permutations("abcdef"[:n])),
    st.sampled_from(["0.75", "0.500000000000000001", "4.9", "0.0000001", "700"]),
    st.integers(0, 5),
)
def test_a_move_that_all_sources_report_is_published_once(
    order: list[str], to: str, ahead: int
) -> None:
    """Also a jump; a source that is alone must then say it twice."""
    folding = at_any_time()
    folding.tell_all([price("0.5", source, 1) for source in "abcdef"[: len(order)]])
    moved = [price(to, source, 2 + n) for n, source in enumerate(order)]
    again = [price(to, order[0], 20 + n) for n in range(ahead + 1)]
    assert published(folding, [*moved, *again]) == [to]


@given(steps, any_settings)
def test_a_quote_is_judged_as_it_is_folded(
    drawn: list[tuple[str, str, int]], settings: dict[str, Any]
) -> None:
    folding = at_any_time(**settings)
    rules = Rules.of(folding.settings, shard=SHARD)
    for offset, event in enumerate(quotes_of(drawn)):
        before = token_of(folding)
        judged = judge(before, quote_in(event, offset), rules)
        told = folding.tell(event)
        after = token_of(folding)
        if judged is None:
            assert told.decisions.keys() <= {"duplicate", "stale", "rejected"}
            continue
        check(judged, told.decisions, before, after)


def quote_in(event: PriceObserved, offset: int) -> Quote:
    quote = read_price(Record(offset, 1, ALPHA.encode(), encode(event)))
    assert isinstance(quote, Quote)
    return quote


def check(
    judged: Judgement, decided: dict[str, int], before: TokenPrice, after: TokenPrice
) -> None:
    assert judged.before == before.usd
    assert judged.suspect == before.suspect
    counting = [quote for quote, ignored in judged.quotes if ignored is None]
    assert [quote.source for quote, _ in judged.quotes] == list(after.quotes)
    assert (judged.chosen in counting) == bool(counting)
    if "published" in decided:
        assert judged.usd == after.usd
    is_suspect = judged.is_jump and judged.confirmation is None
    assert ("suspect" in decided) == is_suspect
