"""Sources that are silent, moved, gone or of no use: shown while it lasts, told when it ends."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eventlog.port import EventLog
from ingest.core.budget import OPENS_AFTER
from ingest.core.schedule import Pace
from ingest.sources.accounts import MAX_LOOKS
from runtime.clock import SystemClock
from runtime.health import Health
from runtime.metrics import (
    BREAKER_OPEN,
    DOUBTED,
    REQUESTS,
    SOURCE_LAST_SUCCESS,
    SOURCE_SAID,
    SOURCE_SILENT,
    UPSTREAM_REJECTS,
)
from schemas.balances import AccountConfirmed, AccountRead
from schemas.base import encode
from schemas.demand import Refresh, RefreshKind
from schemas.ids import STX, UserId
from schemas.prices import PriceObserved
from schemas.topics import DEMAND
from tests.support.awaiting import eventually
from tests.support.ingesting import (
    Seen,
    a_log,
    config_for,
    lease,
    publish_token,
    put,
    started,
    upstream,
)
from tests.support.scripted_upstream import (
    ACCOUNTS,
    ALFA,
    ALFA_SUBNET,
    BETA,
    CALLS,
    INTERNAL,
    KRAXEL,
    METADATA,
    REGISTRY,
    STXTOOLS,
    USER,
    Answer,
    ScriptedUpstream,
    account,
    amounts,
    scripted_upstream,
    token,
)
from tests.support.tasks import beside

HANGS = Answer(hangs=True)
MOVED = Answer(
    {"error": "moved"}, status=301, headers={"location": "https://hiro.invalid/"}
)
GONE = Answer({"error": "Not Found"}, status=404)
NOT_ALLOWED = Answer({"error": "Method Not Allowed"}, status=405)
UNREADABLE = Answer(text="<html>Just a moment</html>")
EMPTY_LIST = Answer([])


@dataclass
class Watched:
    """Ingest at work on upstreams that a test writes."""

    log: EventLog
    upstream: ScriptedUpstream
    health: Health
    seen: Seen

    def silent(self) -> str:
        return self.health.report().warnings.get("silent", "")

    async def is_silent(self, *texts: str) -> None:
        """Wait until the warning says all of this."""
        await eventually(lambda: all(text in self.silent() for text in texts))

    async def is_heard(self) -> None:
        await eventually(lambda: not self.silent())

    async def watch(self, *users: str) -> None:
        until_ms = SystemClock().now_ms() + 300_000
        names = [UserId(user) for user in users]
        await lease(self.log, names, edge="edge-1", until_ms=until_ms)

    async def read_twice(self) -> None:
        """Have the user read for the first time, and then once more."""
        await self.watch(USER)
        await self.seen.next(AccountRead)
        asked = Refresh(kind=RefreshKind.BALANCES, requested_at=SystemClock().now_ms())
        await put(self.log, DEMAND, b"refresh:balances", encode(asked))


@asynccontextmanager
async def ingest_on(
    folder: Path, *, timeout_s: float = 0.5, **changes: Any
) -> AsyncIterator[Watched]:
    """Ingest with a floor of one second, and intervals long enough for two failures in it.

    More would have a source left alone, and the test wait until it is probed.
    """
    async with scripted_upstream() as scripted, a_log(folder) as log:
        hosts = {
            name: upstream(scripted.url, timeout_s=timeout_s, attempts=1)
            for name in ("hiro", "kraxel", "stxtools", "invest", "tokens")
        }
        given: dict[str, Any] = {
            "price_sources": ("kraxel",),
            "price_interval_s": 0.4,
            "token_interval_s": 0.4,
            "metadata_interval_s": 0.4,
            "pace": Pace(interval_s=0.4, hint_gap_s=0.0),
            "silence_floor_s": 1.0,
        }
        config = config_for(scripted.url, **hosts, **(given | changes))
        health = Health("ingest")
        async with beside(started(log, config, SystemClock(), health)):
            yield Watched(log, scripted, health, Seen(log))


@pytest.mark.parametrize(
    ("answer", "why", "remedy"),
    [
        pytest.param(HANGS, "no answer in time", "check the network", id="hangs"),
        pytest.param(
            MOVED,
            "status 301, moved to https://hiro.invalid/",
            "set STACKS_FEED_KRAXEL_URL to where it is now",
            id="moved",
        ),
        pytest.param(GONE, "status 404", "STACKS_FEED_PRICE_SOURCES", id="gone"),
        pytest.param(NOT_ALLOWED, "status 405", "STACKS_FEED_KRAXEL_URL", id="405"),
        pytest.param(Answer(status=410), "status 410", "PRICE_SOURCES", id="410"),
        pytest.param(Answer(status=304), "status 304", "KRAXEL_URL", id="unchanged"),
        pytest.param(Answer(status=403), "status 403", "blocked", id="forbidden"),
        pytest.param(UNREADABLE, "not JSON", "upgrade", id="unreadable"),
        pytest.param(
            Answer({}), "there is no price in the answer", "upgrade", id="empty"
        ),
        pytest.param(
            Answer({".stx": None, "nonsense": 1}),
            "there is no price in the answer",
            "upgrade",
            id="no row of use",
        ),
    ],
)
async def test_a_price_source_of_no_use_is_shown_with_reason_and_remedy_until_it_answers(
    tmp_path: Path, answer: Answer, why: str, remedy: str
) -> None:
    async with ingest_on(tmp_path) as ingest:
        await ingest.seen.next(PriceObserved)
        assert SOURCE_LAST_SUCCESS.labels("kraxel", "prices")._value.get() > 1.7e9
        await ingest.is_heard()
        ingest.upstream.answer(KRAXEL, answer)
        await ingest.is_silent("kraxel (prices): no usable answer for ", why, remedy)
        assert SOURCE_SILENT.labels("kraxel", "prices")._value.get() == 1
        assert ingest.health.report().ready
        ingest.upstream.heal()
        await ingest.is_heard()
        assert SOURCE_SILENT.labels("kraxel", "prices")._value.get() == 0


async def test_silence_is_one_line_when_it_begins_and_one_when_it_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with ingest_on(tmp_path, price_interval_s=1.5) as ingest:
        ingest.upstream.answer(KRAXEL, GONE)
        # Nobody asks for the health here: it is noticed as time passes.
        await eventually(lambda: "source silent" in caplog.messages)
        ingest.upstream.heal()
        await eventually(lambda: "source heard again" in caplog.messages)
    told = [
        (record.levelname, record.message, vars(record)["source"])
        for record in caplog.records
        if record.name == "ingest.silence"
    ]
    assert told == [
        ("WARNING", "source silent", "kraxel"),
        ("INFO", "source heard again", "kraxel"),
    ]


async def test_a_source_that_is_gone_is_left_alone_and_asked_ever_less(
    tmp_path: Path,
) -> None:
    async with ingest_on(tmp_path) as ingest:
        ingest.upstream.answer(KRAXEL, GONE)
        await eventually(
            lambda: (
                "kraxel (status 404)"
                in ingest.health.report().warnings.get("upstreams", "")
            )
        )
        assert BREAKER_OPEN.labels("kraxel")._value.get() == 1
        assert ingest.upstream.count(KRAXEL) <= OPENS_AFTER + 1


async def test_a_failed_round_of_prices_is_repeated_before_the_next_is_due(
    tmp_path: Path,
) -> None:
    async with ingest_on(tmp_path, price_interval_s=3_600.0) as ingest:
        ingest.upstream.answer(KRAXEL, GONE, Answer({".stx": 0.5}))
        await ingest.seen.next(PriceObserved)
        assert ingest.upstream.count(KRAXEL) == 2


@pytest.mark.parametrize(
    ("path", "answer", "source"),
    [
        (REGISTRY, EMPTY_LIST, "charisma (tokens)"),
        (REGISTRY, Answer([{"contractId": "no id"}]), "charisma (tokens)"),
        (REGISTRY, GONE, "charisma (tokens)"),
        (METADATA, Answer({"total": 0, "results": []}), "hiro-metadata (tokens)"),
        (METADATA, Answer({"total": 9, "results": []}), "hiro-metadata (tokens)"),
        (METADATA, MOVED, "hiro-metadata (tokens)"),
    ],
)
async def test_a_registry_of_no_use_is_shown_until_it_answers(
    tmp_path: Path, path: str, answer: Answer, source: str
) -> None:
    async with ingest_on(tmp_path) as ingest:
        ingest.upstream.answer(path, answer)
        await ingest.is_silent(source)
        ingest.upstream.heal()
        await ingest.is_heard()


async def test_a_registry_that_says_of_itself_that_it_is_empty_is_not_left_alone(
    tmp_path: Path,
) -> None:
    async with ingest_on(tmp_path) as ingest:
        ingest.upstream.answer(METADATA, Answer({"total": 0, "results": []}))
        await eventually(lambda: ingest.upstream.count(METADATA) > OPENS_AFTER)
        assert "upstreams" not in ingest.health.report().warnings


@pytest.mark.parametrize("answer", [HANGS, MOVED])
async def test_accounts_that_nobody_can_read_are_shown_and_nobody_watched_is_no_silence(
    tmp_path: Path, answer: Answer
) -> None:
    async with ingest_on(tmp_path) as ingest:
        ingest.upstream.answer(ACCOUNTS, answer)
        # A source that is asked is silent first: the others were not asked meanwhile.
        ingest.upstream.answer(KRAXEL, GONE)
        await ingest.is_silent("kraxel")
        assert "hiro" not in ingest.silent()
        await ingest.watch(USER)
        await ingest.is_silent("hiro (accounts)", "STACKS_FEED_")
        ingest.upstream.heal()
        await ingest.seen.next(AccountRead)
        await eventually(lambda: "hiro (accounts)" not in ingest.silent())


async def test_accounts_are_silent_no_more_when_nobody_is_watched_any_more(
    tmp_path: Path,
) -> None:
    async with ingest_on(tmp_path) as ingest:
        ingest.upstream.answer(ACCOUNTS, GONE)
        await ingest.watch(USER)
        await ingest.is_silent("hiro (accounts)")
        await put(ingest.log, DEMAND, f"{USER}|edge-1".encode(), None)
        await ingest.is_heard()


async def test_whoever_reads_the_market_no_more_calls_none_of_its_sources_silent(
    tmp_path: Path,
) -> None:
    async with ingest_on(tmp_path) as ingest:
        ingest.upstream.answer(KRAXEL, GONE)
        ingest.upstream.answer(REGISTRY, GONE)
        await ingest.is_silent("kraxel (prices)", "charisma (tokens)")
    # The service has given its shards away as it does when another takes them.
    assert ingest.silent() == ""


async def test_a_redirect_is_about_the_source_however_few_users_are_watched(
    tmp_path: Path,
) -> None:
    async with ingest_on(tmp_path) as ingest:
        ingest.upstream.answer(ACCOUNTS, MOVED)
        await ingest.watch(USER)
        await eventually(
            lambda: (
                "hiro (status 301, moved to https://hiro.invalid/)"
                in ingest.health.report().warnings.get("upstreams", "")
            )
        )


async def test_refusals_of_five_users_are_about_the_source_and_of_one_they_are_not(
    tmp_path: Path,
) -> None:
    users = [
        "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS",
        "SP1AY6K3PQV5MRT6R4S671NWW2FRVPKM0BR162CT6",
        "SP2C1WREHGM75C7TGFAEJPFKTFTEGZKF6DFT6E2GE",
        "SP3NE50GEXFG9SZGTT51P40X2CKYSZ5CC4ZTZ7A2G",
        "SP2C2YFP12AJZB4MABJBAJ55XECVS7E4PMMZ89YZR",
    ]
    refused = Answer({"error": "invalid STX address"}, status=400)
    async with ingest_on(tmp_path) as ingest:
        ingest.upstream.answer(f"/extended/v1/address/{users[0]}/*", refused)
        await ingest.watch(users[0])
        path = f"*/{users[0]}/*"
        await eventually(lambda: ingest.upstream.count(path) > OPENS_AFTER)
        assert ingest.health.report().warnings == {}
        ingest.upstream.answer(ACCOUNTS, refused)
        await ingest.watch(*users[1:])
        await eventually(
            lambda: (
                "hiro (status 400)"
                in ingest.health.report().warnings.get("upstreams", "")
            )
        )
        await ingest.is_silent("hiro (accounts)", "status 400")
        ingest.upstream.heal()
        await ingest.is_heard()


async def test_an_account_whose_pages_never_add_up_is_unusable_and_shown(
    tmp_path: Path,
) -> None:
    unusable = REQUESTS.labels("hiro", "unusable")
    before = unusable._value.get()
    unreadable = UPSTREAM_REJECTS.labels("hiro")._value.get()
    async with ingest_on(tmp_path, generation=2) as ingest:
        ingest.upstream.answer(
            "/extended/*/balances/ft",
            Answer({"total": 2, "results": [{"token": f"{ALFA}::a", "balance": "5"}]}),
        )
        ingest.upstream.answer("/extended/*/balances/stx", Answer({"balance": "7"}))
        await ingest.watch(USER)
        await ingest.is_silent(
            "hiro (accounts)", "the pages do not make a whole account"
        )
        assert unusable._value.get() > before
        assert UPSTREAM_REJECTS.labels("hiro")._value.get() > unreadable
        assert ingest.seen.of(AccountRead) == []


async def test_subnet_calls_that_fail_are_shown_beside_accounts_that_do_not(
    tmp_path: Path,
) -> None:
    async with ingest_on(tmp_path) as ingest:
        subnet = token(ALFA_SUBNET, "alfa", type="SUBNET", base=ALFA)
        ingest.upstream.answer(REGISTRY, Answer([token(ALFA, "alfa"), subnet]))
        ingest.upstream.answer(CALLS, MOVED)
        await published_subnet(ingest.log)
        await ingest.watch(USER)
        await ingest.is_silent("subnet-call (subnets)", "STACKS_FEED_HIRO_URL")
        assert "hiro (accounts)" not in ingest.silent()
        ingest.upstream.answer(
            CALLS, Answer({"okay": True, "result": "0x01" + "00" * 16})
        )
        await ingest.is_heard()


async def published_subnet(log: EventLog) -> None:
    """Put the subnet into the public table, as the processor would."""
    await publish_token(log, ALFA_SUBNET, type="SUBNET", base=ALFA)


async def test_a_source_that_repeats_old_prices_is_shown_with_their_age(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def said(updated_ms: int) -> Answer:
        row = {
            "tokenId": ".stx",
            "usdPrice": 1.0,
            "confidence": 0.9,
            "lastUpdated": updated_ms,
        }
        return Answer({"status": "success", "data": [row]})

    now_ms = SystemClock().now_ms()
    async with ingest_on(tmp_path, price_sources=("internal",)) as ingest:
        ingest.upstream.answer(INTERNAL, said(now_ms - 400 * 86_400_000))
        await eventually(
            lambda: (
                "internal: by its own word its newest price is 400 d old"
                in ingest.health.report().warnings.get("old values", "")
            )
        )
        told_s = SOURCE_SAID.labels("internal")._value.get()
        assert told_s == pytest.approx(now_ms / 1_000 - 400 * 86_400)
        ingest.upstream.answer(INTERNAL, said(now_ms))
        await eventually(lambda: "old values" not in ingest.health.report().warnings)
    lines = [
        r.message
        for r in caplog.records
        if r.message == "source repeats old values" or "new values" in r.message
    ]
    assert lines == ["source repeats old values", "source gives new values again"]


async def test_a_normal_start_before_the_upstreams_warns_of_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with ingest_on(tmp_path, silence_floor_s=60.0) as ingest:
        for path in (REGISTRY, KRAXEL, METADATA, STXTOOLS):
            ingest.upstream.answer(path, Answer(status=503), Answer(status=503), GONE)
        await eventually(lambda: "tokens not read" in caplog.messages)
        ingest.upstream.heal()
        await ingest.seen.next(PriceObserved)
        await asyncio.sleep(0)
    loud = [r.message for r in caplog.records if r.levelno >= logging.WARNING]
    assert loud == []


# ---- readings that take something away


V1 = f"/extended/v1/address/{USER}/balances"
WHOLE = Answer(account(1_000_000, alfa=amounts(5_000_000), beta=amounts(70)))
NO_TOKENS = Answer(account(1_000_000))
NO_ALFA = Answer(account(1_000_000, beta=amounts(70)))
NO_BETA = Answer(account(1_000_000, alfa=amounts(5_000_000)))
NO_TOTALS = Answer(
    account(1_000_000, alfa={"balance": "5000000"}, beta={"balance": "70"})
)
DOWN = Answer({"error": "trouble"}, status=500)
# Nobody is polled within a test: a reading is the first, one asked for, or a second look.
NO_POLL = Pace(interval_s=3_600.0, hint_gap_s=0.0)


def holdings(seen: Seen) -> list[dict[str, str]]:
    """What each whole reading in the log says of the two tokens."""
    return [
        {
            one.contract_id: one.balance
            for one in read.holdings
            if one.contract_id != STX
        }
        for read in seen.of(AccountRead)
    ]


BOTH = {ALFA: "5000000", BETA: "70"}


@pytest.mark.parametrize(
    "lies",
    [
        pytest.param([NO_TOKENS], id="all tokens vanish once"),
        pytest.param([NO_BETA], id="one token vanishes once"),
        pytest.param([NO_TOTALS], id="the totals vanish once"),
        pytest.param([NO_TOKENS, DOWN, DOWN], id="the second look fails"),
        pytest.param([NO_ALFA, NO_BETA], id="two nodes lag apart"),
    ],
)
async def test_what_vanishes_from_one_answer_is_read_again_before_a_zero_is_written(
    tmp_path: Path, lies: list[Answer]
) -> None:
    counted = DOUBTED.labels("back")._value.get()
    async with ingest_on(tmp_path, pace=NO_POLL) as ingest:
        ingest.upstream.answer(V1, WHOLE, *lies, WHOLE)
        await ingest.read_twice()
        await ingest.seen.next(AccountConfirmed)
        assert holdings(ingest.seen) == [BOTH]
        doubted = sum(lie is not DOWN for lie in lies)
        assert DOUBTED.labels("back")._value.get() == counted + doubted


async def test_what_stays_away_is_believed_at_the_second_look(tmp_path: Path) -> None:
    async with ingest_on(tmp_path, pace=NO_POLL) as ingest:
        ingest.upstream.answer(V1, WHOLE, NO_BETA)
        await ingest.read_twice()
        await ingest.seen.next(AccountRead)
        assert holdings(ingest.seen) == [BOTH, {ALFA: "5000000"}]
        assert ingest.upstream.count(V1) == 3


async def test_an_upstream_that_never_says_the_same_twice_is_believed_in_the_end(
    tmp_path: Path,
) -> None:
    async with ingest_on(tmp_path, pace=NO_POLL) as ingest:
        ingest.upstream.answer(V1, WHOLE, NO_ALFA, NO_BETA, NO_ALFA)
        await ingest.read_twice()
        await ingest.seen.next(AccountRead)
        assert ingest.upstream.count(V1) == 1 + MAX_LOOKS


@pytest.mark.parametrize("generation", [2, 3])
async def test_a_token_that_is_not_on_any_page_is_looked_for_again(
    tmp_path: Path, generation: int
) -> None:
    def page(**tokens: int) -> Answer:
        ids = {"alfa": f"{ALFA}::alfa", "beta": f"{BETA}::beta"}
        name = "token" if generation == 2 else "asset_identifier"
        rows = [{name: ids[key], "balance": str(held)} for key, held in tokens.items()]
        return Answer({"total": len(rows), "results": rows, "cursor": {"next": None}})

    counted = DOUBTED.labels("missing")._value.get()
    whole = page(alfa=5_000_000, beta=70)
    async with ingest_on(tmp_path, pace=NO_POLL, generation=generation) as ingest:
        ingest.upstream.answer("*/balances/stx", Answer({"balance": "7"}))
        ingest.upstream.answer("*/balances/ft", whole, page(beta=70), whole)
        await ingest.read_twice()
        await ingest.seen.next(AccountConfirmed)
        assert holdings(ingest.seen) == [BOTH]
        assert DOUBTED.labels("missing")._value.get() == counted + 1
