"""What a person reads: each kind of observation and decision has its words."""

from collections.abc import Sequence

import pytest

from audit.core.plainly import commit_facts, observation, plainly, step_facts
from audit.core.sentences import fate_in_sentences, in_sentences
from audit.core.telling import reason_text, refusal_text, time_text, value_text
from audit.explain import fate_of
from processor.core.generations import GENERATIONS
from schemas.base import encode
from schemas.journal import Decision, FoldSettings, Origin
from schemas.latest import IDENTITY_KEY
from schemas.prices import PriceObserved
from schemas.rejects import Reason, Reject
from schemas.topics import BALANCES_RAW, PRICES_RAW
from tests.support.audited import SHARD, Writing, _said, a_history
from tests.support.explained import asking, why
from tests.support.folding import (
    ALPHA,
    ALPHA_SUBNET,
    BETA,
    USER,
    confirmed,
    forgotten,
    holding,
    price,
    reading,
    subnet,
    token,
)
from tests.support.list_log import ListLog

PRICE, BALANCE, TOKEN = f"price:{ALPHA}", f"balance:{USER}:{ALPHA}", f"token:{ALPHA}"


AT_ANY_TIME = FoldSettings(future_tolerance_ms=2**52)


def folded(
    *events: object, settings: FoldSettings | None = None, generation: int = 2
) -> ListLog:
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    writing.observe([_said(event) for event in events])
    settings, fold = settings or AT_ANY_TIME, GENERATIONS[generation]
    writing.fold(per_commit=2, settings=settings, fold=fold)
    return log


async def told(log: ListLog, key: str, *, raw: bool = False) -> str:
    return "\n".join(in_sentences(await why(log, key), raw=raw))


@pytest.mark.parametrize(
    ("events", "sentences"),
    [
        pytest.param(
            (price("0.469", "kraxel", 1_000), price("0.4684", "stxtools", 2_000)),
            [
                "is 0.4687 USD, version 2 after commit 1 of shard 1",
                "stxtools said 0.4684 at 1970-01-01 00:00:02.000Z; the median of "
                "kraxel's 0.469 and stxtools's 0.4684 is 0.4687; that differs from the "
                "0.469 published before (prices.raw[1] at offset 1)",
                "before it was 0.469 USD, version 1",
            ],
            id="a price that moved",
        ),
        pytest.param(
            (price("1", "a", 5), price("2", "a", 4), price("1", "a", 5)),
            [
                "a said 1 at 1970-01-01 00:00:00.005Z; a's 1, the only fresh word, is 1",
                "nothing was published before",
                "stale: a said 2 at 1970-01-01 00:00:00.004Z; a has already said "
                "something later",
                "duplicate: a said 1 at 1970-01-01 00:00:00.005Z; the same of the same "
                "moment and source is already held",
                "since then: 2 observations that did not change it (1 stale, 1 duplicate)",
            ],
            id="stale and duplicate",
        ),
        pytest.param(
            (price("1", "a", 5), price("1", "b", 6), price("3", "b", 6)),
            [
                "unchanged: b said 1 at 1970-01-01 00:00:00.006Z; the median of a's 1 "
                "and b's 1 is still 1",
                "refused: the same source said something else of the same moment",
            ],
            id="unchanged and refused",
        ),
    ],
)
async def test_a_price_of_generation_1_is_told(
    events: Sequence[object], sentences: Sequence[str]
) -> None:
    text = await told(folded(*events, generation=1), PRICE)
    for sentence in sentences:
        assert sentence in text


HOUR_MS, T0 = 3_600_000, 1_800_000_000_000
FROZEN = tuple(
    price(usd, source, T0 + at)
    for at, usd in enumerate(["1", "1.1", "1.2", "1.3"])
    for source, usd in (("a", usd), ("b", "1"))
)


def dated(usd: str, source: str, at: int, source_time: int) -> PriceObserved:
    return price(usd, source, at).model_copy(update={"source_time": source_time})


@pytest.mark.parametrize(
    ("events", "sentences"),
    [
        pytest.param(
            (price("0.469", "kraxel", 1_000), price("0.47", "kraxel", 2_000)),
            [
                "is 0.47 USD, version 2 after commit 1 of shard 1",
                "kraxel said 0.47 at 1970-01-01 00:00:02.000Z; kraxel's 0.47 counts; that "
                "differs from the 0.469 published before (prices.raw[1] at offset 1)",
            ],
            id="one source moves",
        ),
        pytest.param(
            (price("1", "a", 1), price("1", "b", 2), price("2", "b", 3)),
            [
                "a's 1 counts; nothing was published before",
                "a's 1 and b's 1 count; of the two 1 is nearer to 1, the price "
                "published before; that is the 1 published before",
                "unchanged: b said 2 at 1970-01-01 00:00:00.003Z; a's 1 and b's 2 count; of "
                "the two 1 is nearer to 1, the price last found while two sources "
                "counted; that is the 1 published before",
            ],
            id="one of two moves",
        ),
        pytest.param(
            (price("1", "a", 1), price("3", "b", 1), price("2", "c", 1)),
            [
                "a's 1, b's 3 and c's 2 count; the middle one is 2; that differs from the 1"
            ],
            id="three sources",
        ),
        pytest.param(
            (price("1", "a", 1), price("11", "a", 2)),
            [
                "suspect: a said 11 at 1970-01-01 00:00:00.002Z; a's 11 counts; 11 is more "
                "than 10 times above or below the 1 published before (the setting "
                "priceJumpFactor), so it waits until another source confirms it, or a "
                "itself at a later moment (prices.raw[1]",
            ],
            id="a jump",
        ),
        pytest.param(
            (price("1", "a", 1), price("11", "a", 2), price("12", "a", 3)),
            [
                "(the setting priceJumpFactor), and confirmed by a itself, at a later moment"
            ],
            id="a jump that its source confirms",
        ),
        pytest.param(
            (
                *(price("1", source, 1) for source in "ab"),
                *(price("11", source, 2) for source in "ab"),
            ),
            [
                "(the setting priceJumpFactor), and confirmed by another source; that differs"
            ],
            id="a jump that another source confirms",
        ),
        pytest.param(
            (*(price("1", source, 1) for source in "ab"), price("11", "a", 2)),
            [
                "b's 1 and a's 11 disagree: they are more than 10 times apart (the setting "
                "priceJumpFactor); that is the 1 published before"
            ],
            id="a disagreement",
        ),
        pytest.param(
            (price("1", "a", 1), price("11", "b", 1)),
            [
                "priceJumpFactor), and no two sources have ever agreed, so nothing tells who is "
                "right; that is the 1 published before"
            ],
            id="a disagreement that cannot be decided",
        ),
        pytest.param(
            (
                dated("1", "a", T0 + HOUR_MS, T0),
                dated("2", "a", T0 + HOUR_MS + 1, T0 + HOUR_MS),
                dated("3", "b", T0 + HOUR_MS + 2, T0),
            ),
            [
                "no quote counts; a's 1 does not: it is of 2027-01-15 08:00:00.000Z, more "
                "than 900000 ms before the newest (the setting priceMaxAgeMs); so nothing "
                "stays published",
                "a's 2 counts; b's 3 does not: it is of",
            ],
            id="old quotes",
        ),
        pytest.param(
            (
                *FROZEN,
                price("1", "b", T0 + HOUR_MS + 1),
                price("1.4", "a", T0 + HOUR_MS + 2),
            ),
            [
                "is 1.4 USD, version 2",
                "a's 1.4 counts; b's 1 does not: the source is frozen, it repeats this since "
                "2027-01-15 08:00:00.000Z, more than 3600000 ms (the setting priceFrozenMs), "
                "while another one moves; that differs from the 1",
            ],
            id="a frozen source",
        ),
    ],
)
async def test_a_price_is_told(
    events: Sequence[object], sentences: Sequence[str]
) -> None:
    text = await told(folded(*events), PRICE)
    for sentence in sentences:
        assert sentence in text, text


async def test_the_lower_of_two_is_told_where_nothing_was_published() -> None:
    """Other settings make quotes count that were too old when they came."""
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    writing.observe([_said(dated("3", "b", T0 + 50, T0))])
    writing.fold(settings=AT_ANY_TIME.model_copy(update={"price_max_age_ms": 10}))
    writing.observe([_said(dated("2", "a", T0 + 60, T0 + 60))])
    writing.fold(settings=AT_ANY_TIME)
    text = await told(log, PRICE)
    assert "a's 2 and b's 3 count; of the two the lower one is 2" in text


async def test_a_deviation_is_told_with_its_setting() -> None:
    settings = FoldSettings(price_deviation="0.5")
    log = folded(price("1", "a", 1), price("1.2", "a", 2), settings=settings)
    assert (
        "a's 1.2 counts; against the 1 published before, a difference of up to 0.5 of it "
        "is left out (the setting priceDeviation)"
    ) in await told(log, PRICE)


@pytest.mark.parametrize(
    ("events", "key", "sentences"),
    [
        pytest.param(
            (
                reading(1, holding(BETA, 1), holding(ALPHA, 5)),
                subnet(2, 3),
                reading(3, holding(ALPHA, -1)),
                subnet(1, 4),
                confirmed(9, "b" * 64),
            ),
            BALANCE,
            [
                f"is 5 and 3 in the subnet {ALPHA_SUBNET}, version 2",
                f"node read 3 in the subnet {ALPHA_SUBNET} at",
                "suspect: hiro read a balance of -1 at",
                "stale: node read 4 in the subnet",
                "not later than what is held",
                "hiro found the account as its last reading says",
                "refused: it confirms a reading that is not the one held",
            ],
            id="a balance in layers",
        ),
        pytest.param(
            (subnet(1, 0), reading(2, holding(ALPHA, 5)), subnet(3, 0)),
            BALANCE,
            [
                "is 5, version 1",
                f"unchanged: node read 0 in the subnet {ALPHA_SUBNET} at",
                "nothing was ever held in this subnet, so it is no part of the balance",
            ],
            id="a subnet that never held anything",
        ),
        pytest.param(
            (subnet(1, 3), subnet(2, 3)),
            BALANCE,
            [
                f"unchanged: node read 3 in the subnet {ALPHA_SUBNET} at",
                "is what it was",
            ],
            id="a subnet that holds the same",
        ),
        pytest.param(
            (reading(1, holding(ALPHA, 5)), reading(2), reading(3)),
            BALANCE,
            [
                "is 0, version 2",
                "hiro read the account without this token, which is 0 of it,",
                "the balance is what it was",
            ],
            id="a token that left",
        ),
        pytest.param(
            (reading(1, holding(ALPHA, 5)), forgotten(2), reading(3, holding(BETA, 1))),
            BALANCE,
            [
                "is withdrawn after",
                "the user was forgotten at 1970-01-01 00:00:00.002Z",
                "since then: no observation of it, 1 that say nothing of it",
            ],
            id="a forgotten user",
        ),
        pytest.param(
            (token(at=1, name="Alpha", decimals=6), token("charisma", 2, name="Alpha")),
            TOKEN,
            [
                "is name Alpha, decimals 6, version 1",
                "what is known of the token, taken together, is what it was",
            ],
            id="a token",
        ),
        pytest.param(
            (price("1"),),
            f"price:{BETA}",
            ["was not published up to commit 1 of shard 1"],
            id="never published",
        ),
    ],
)
async def test_a_history_is_told(
    events: Sequence[object], key: str, sentences: Sequence[str]
) -> None:
    text = await told(folded(*events), key)
    for sentence in sentences:
        assert sentence in text


async def test_a_change_too_small_names_the_setting() -> None:
    settings = FoldSettings(price_deviation="0.5")
    quotes = price("1", "a", 1), price("1.2", "a", 2)
    log = folded(*quotes, settings=settings, generation=1)
    assert (
        "a's 1.2, the only fresh word, is within 0.5 (a share, the setting "
        "priceDeviation) of the 1 published before"
    ) in await told(log, PRICE)


async def test_words_that_are_not_fresh_are_not_in_the_median() -> None:
    settings = FoldSettings(price_max_age_ms=10)
    quotes = price("1", "a", 1), price("2", "b", 50)
    log = folded(*quotes, settings=settings, generation=1)
    assert "b's 2, the only fresh word, is 2" in await told(log, PRICE)


async def test_after_a_withdrawal_a_value_is_told_again() -> None:
    log = folded(
        reading(1, holding(ALPHA, 5)), forgotten(2), reading(3, holding(ALPHA, 7))
    )
    text = await told(log, BALANCE)
    assert "before it was withdrawn" in text


async def test_of_many_observations_the_last_are_told() -> None:
    events = [price("1", "a", at) for at in range(1, 30)]
    text = await told(folded(*events), PRICE)
    assert "since then: 28 observations that did not change it (28 unchanged)" in text
    assert "the last 10 of them:" in text
    assert text.count("unchanged: a said") == 10


async def test_the_bytes_are_shown_when_asked_for() -> None:
    event = price("1")
    assert encode(event).decode() in await told(folded(event), PRICE, raw=True)


def test_times_are_exact() -> None:
    assert time_text(1_795_569_714_007) == "2026-11-25 01:21:54.007Z"


def test_each_refusal_has_its_words() -> None:
    said = {
        reason: refusal_text(
            Reject(
                origin=Origin(PRICES_RAW, 1, 2),
                reason=reason,
                field="usd" if reason is Reason.SCHEMA else "",
                original="",
                size=0,
            ),
            FoldSettings(),
        )
        for reason in Reason
    }
    assert len(set(said.values())) == len(Reason)
    assert said[Reason.SCHEMA] == "refused: it does not fit its schema at `usd`"
    assert "60000 ms" in said[Reason.FUTURE]
    assert refusal_text(None, FoldSettings()) == "refused"


def test_what_cannot_be_read_is_said_to_be_so() -> None:
    assert value_text(PRICE.encode(), b"{}") == "unreadable"
    assert value_text(IDENTITY_KEY, None) == "withdrawn"


async def test_a_value_that_another_program_wrote_has_no_price() -> None:
    """Reasons are words about what stood there, whatever that is."""
    quotes = price("1", "a", 1), price("1", "b", 2)
    found = await why(folded(*quotes, generation=1), PRICE)
    step = found.since.steps[0]
    commit = found.commits[step.commit]
    said = reason_text(step, commit, before=b"?", key=found.key)
    assert said.endswith("is still nothing")


async def test_the_fate_of_an_observation_is_told() -> None:
    log = folded(
        price("1", "a", 1),
        price("1", "a", 2),
        price("3", "a", 2),
        reading(1, holding(ALPHA, 5), holding(BETA, 1)),
    )
    log.put(PRICES_RAW, SHARD, [(ALPHA.encode(), b"?", ())])
    lines = {}
    async with asking(log) as asked:
        for origin in (
            *(Origin(PRICES_RAW, SHARD, n) for n in range(4)),
            Origin(BALANCES_RAW, SHARD, 0),
        ):
            fate = await fate_of(asked, origin)
            said = fate.commit.said if fate.commit else None
            lines[origin] = list(
                fate_in_sentences(fate.observation, fate.step, said, reject=fate.reject)
            )
            assert observation(fate.observation)["offset"] == origin.offset
    texts = ["\n".join(each) for each in lines.values()]
    assert f"published {PRICE}: 1 USD, version 1" in texts[0]
    assert "unchanged: nothing was published" in texts[1]
    assert "its record in rejects[1] is at offset 0" in texts[2]
    assert "cannot be read" in texts[3]
    assert "it is not folded" in texts[3]
    assert "hiro read an account with 2 tokens" in texts[4]


async def test_a_reject_that_retention_took_is_held_no_more() -> None:
    log = folded(price("1", "a", 1), price("3", "a", 1))
    async with asking(log) as asked:
        fate = await fate_of(asked, Origin(PRICES_RAW, SHARD, 1))
    assert fate.commit is not None
    said = fate.commit.said
    lines = fate_in_sentences(fate.observation, fate.step, said, reject=None)
    assert "its record in rejects[1] is held no more" in list(lines)


async def test_a_program_gets_all_of_it() -> None:
    found = await why(a_history(), PRICE)
    plain = plainly(found)
    assert found.value is not None
    assert found.previous is not None
    assert plain["value"]["value"].encode() == found.value.value
    assert plain["previous"]["offset"] == found.previous.offset
    steps = [*plain["led"]["steps"], *plain["since"]["steps"]]
    assert {f"{step['commit']}" for step in steps} == set(plain["commits"])
    assert {step["decision"] for step in steps} <= {each.value for each in Decision}
    refused = [step for step in steps if step["reject"]]
    assert refused[0]["reject"]["reason"] == "schema"
    commit = next(iter(found.commits.values()))
    assert commit_facts(commit)["settings"]["priceDeviation"] == "0.01"
    assert step_facts(found.led.steps[-1])["words"]
    assert plainly(await why(a_history(), f"price:{ALPHA_SUBNET}"))["value"] is None


async def test_a_program_gets_a_withdrawal_as_null() -> None:
    log = folded(reading(1, holding(ALPHA, 5)), forgotten(2))
    plain = plainly(await why(log, BALANCE))
    assert plain["value"]["value"] is None
    assert plain["value"]["version"] is None
    assert plain["led"]["steps"][-1]["published"] == {BALANCE: None}
