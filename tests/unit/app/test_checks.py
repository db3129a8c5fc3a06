"""What `doctor` finds, and what it tells an operator to do."""

import math
import socket
from pathlib import Path
from typing import Any

import pytest

from app import checks, configs, settings
from app.bootstrap import apply_topics, open_log
from app.checks import (
    Finding,
    Health,
    disk,
    findings,
    growth,
    history,
    judged,
    newest,
    prices,
    retention,
)
from app.configs import urls
from app.ports import free_port
from app.retention import Standing
from app.running import RunningSystem, noted
from eventlog.port import Entry
from ingest.standing import PriceMoments
from processor.core.retention import Gap
from processor.retention import HistoryMargin
from schemas.base import encode
from schemas.ids import STX
from schemas.prices import PriceObserved
from schemas.topics import PRICES_RAW
from tests.support.clock import ManualClock

NOW_MS = 1_700_000_000_500
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
DAY_MS = 86_400_000


async def found(**given: Any) -> dict[str, Finding]:
    given = {"port": free_port("127.0.0.1"), "simulator_port": 1, **given}
    read = settings.read(given, env_file=None)
    clock = ManualClock(NOW_MS)
    return {each.name: each async for each in findings(read, clock=clock)}


def a_file(name: str, content: bytes) -> None:
    Path(name).write_bytes(content)


async def test_without_a_log_it_says_how_to_get_one() -> None:
    log = (await found())["log"]
    assert log.health is Health.WRONG
    assert "stacks-feed up" in log.advice


async def test_a_log_with_its_topics_is_well() -> None:
    read = settings.read({}, env_file=None)
    await apply_topics(read, clock=ManualClock(NOW_MS))
    all_found = await found()
    names = (
        *("settings", "port", "log", "identity", "topics", "retention", "history"),
        "growth",
    )
    for name in names:
        assert all_found[name].health is Health.WELL, all_found[name]


async def test_a_log_of_another_world_and_other_settings_is_wrong() -> None:
    await apply_topics(settings.read({}, env_file=None), clock=ManualClock(NOW_MS))
    other = await found(network="testnet", audit_days=9)
    assert other["identity"].health is Health.WRONG
    assert "STACKS_FEED_NETWORK" in other["identity"].advice
    assert other["topics"].health is Health.WRONG
    assert "retention.ms" in other["topics"].found


async def test_an_empty_file_lacks_topics_and_identity() -> None:
    a_file("empty.sqlite", b"")
    all_found = await found(log="empty.sqlite")
    assert all_found["identity"].health is Health.WRONG
    assert "topics apply" in all_found["topics"].advice


async def test_a_file_that_is_no_database_is_wrong() -> None:
    a_file("x.sqlite", b"not a database, really not" * 100)
    log = (await found(log="x.sqlite"))["log"]
    assert log.health is Health.WRONG


async def test_a_taken_port_is_worth_a_look() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = (await found(port=taken.getsockname()[1]))["port"]
    assert port.health is Health.LOOK


async def test_a_simulator_that_does_not_run_is_no_fault() -> None:
    hiro = (await found())["hiro"]
    assert hiro.health is Health.LOOK
    assert "stacks-feed up" in hiro.advice


async def test_an_upstream_that_cannot_be_reached_is_wrong() -> None:
    dead = f"http://127.0.0.1:{free_port('127.0.0.1')}"
    hiro = (await found(simulator_url=dead))["hiro"]
    assert hiro.health is Health.WRONG
    assert "STACKS_FEED_HIRO_URL" in hiro.advice


@pytest.mark.parametrize(
    ("status", "health", "advice"),
    [
        (200, Health.WELL, ""),
        (204, Health.WRONG, "trouble"),
        (301, Health.WRONG, "set STACKS_FEED_HIRO_URL to where it is now"),
        (404, Health.WRONG, "correct the URL"),
        (405, Health.WRONG, "correct the URL"),
        (401, Health.WRONG, "STACKS_FEED_HIRO_API_KEY"),
        (410, Health.WRONG, "STACKS_FEED_ACCOUNTS_API"),
        (429, Health.WRONG, "rate-limited"),
        (503, Health.WRONG, "trouble"),
    ],
)
def test_an_upstream_is_judged_by_its_status(
    status: int, health: Health, advice: str
) -> None:
    finding = judged("hiro", "http://h", status, {"date": DATE}, now_ms=NOW_MS)
    assert finding.health is health
    assert advice in finding.advice


@pytest.mark.parametrize(
    ("headers", "health"),
    [
        ({"date": DATE}, Health.WELL),
        ({"date": "Tue, 14 Nov 2023 22:14:20 GMT"}, Health.LOOK),
        ({"date": "soon"}, Health.WELL),
        ({}, Health.WELL),
    ],
    ids=["in step", "a minute behind", "unreadable", "none"],
)
def test_the_clock_is_held_against_the_upstreams(
    headers: dict[str, str], health: Health
) -> None:
    finding = judged("hiro", "http://h", 200, headers, now_ms=NOW_MS)
    assert finding.health is health


@pytest.mark.parametrize(
    ("age_ms", "free_bytes", "said", "health"),
    [
        (1_000, 10**9, "too young", Health.WELL),
        (DAY_MS, 100 * 2**20, "full in 10 days", Health.WELL),
        (DAY_MS, 50 * 2**20, "full in 5 days", Health.LOOK),
    ],
)
def test_growth_is_told_in_days_until_the_disk_is_full(
    age_ms: int, free_bytes: int, said: str, health: Health
) -> None:
    size = 10 * 2**20
    finding = growth(size_bytes=size, free_bytes=free_bytes, age_ms=age_ms)
    assert said in finding.found
    assert finding.health is health


def test_a_log_too_young_to_tell_its_growth_still_needs_room_for_a_day() -> None:
    finding = growth(size_bytes=2**20, free_bytes=499 * 10**6, age_ms=0)
    assert finding.health is Health.WRONG
    assert "a first day adds up to 500 MB" in finding.found
    assert "make room" in finding.advice


def standing(**changed: Any) -> Standing:
    still = Standing(
        "prices.raw", 1, waiting=0, left_s=math.inf, danger=False, gap=None
    )
    return still._replace(**changed)


@pytest.mark.parametrize(
    ("changed", "health", "said"),
    [
        ({}, Health.WELL, "nothing unread"),
        (
            {"waiting": 9, "left_s": 7_200.0},
            Health.WELL,
            "prices.raw[1]: 9 .* 2.0 hours",
        ),
        ({"left_s": 60.0, "danger": True}, Health.LOOK, "0.0 hours"),
        (
            {"gap": Gap("prices.raw", 1, 5, 98)},
            Health.WRONG,
            "prices.raw[1] lacks offsets 5 to 98 (94)",
        ),
    ],
    ids=["nothing waits", "far", "near", "gone"],
)
def test_what_retention_will_take_or_took_is_told(
    changed: dict[str, Any], health: Health, said: str
) -> None:
    finding = retention([standing(), standing(**changed)])
    assert finding.health is health
    assert all(part in finding.found for part in said.split(" .* "))


def test_a_loss_is_told_with_the_setting_that_accepts_it() -> None:
    gaps = [Gap("prices.raw", 1, 5, 98), Gap("tokens.raw", 0, 7, 7)]
    finding = retention([standing(gap=gap) for gap in gaps])
    setting = "STACKS_FEED_ACCEPT_LOSS=prices.raw[1]@5,tokens.raw[0]@7"
    assert setting in finding.advice
    given = finding.advice.partition("STACKS_FEED_ACCEPT_LOSS=")[2]
    assert configs.processor_config(
        settings.read({"accept_loss": given}, env_file=None)
    ).accept_loss == {gap.name for gap in gaps}


@pytest.mark.parametrize(
    ("margin", "health", "said"),
    [
        (
            HistoryMargin(0, math.inf, None, None, danger=False),
            Health.WELL,
            "not deleted",
        ),
        (
            HistoryMargin(0, 360_000, "prices.raw", None, danger=False),
            Health.WELL,
            "shard 0 begins with its first commit; prices.raw after it is deleted from "
            "100.0 hours",
        ),
        (
            HistoryMargin(0, 3_600, "journal", 7, danger=True),
            Health.LOOK,
            "shard 0 begins with the snapshot after commit 7; journal after it is deleted "
            "from 1.0 hours",
        ),
        (
            HistoryMargin(0, -1, "changes", 7, danger=True),
            Health.LOOK,
            "shard 0: changes was deleted after the snapshot after commit 7",
        ),
    ],
    ids=["never", "far", "near", "gone"],
)
def test_how_long_history_has_a_beginning_is_told(
    margin: HistoryMargin, health: Health, said: str
) -> None:
    far = HistoryMargin(1, 400_000, "tokens.raw", None, danger=False)
    finding = history([far, margin] if margin.topic else [margin])
    assert finding.health is health
    assert said in finding.found
    assert ("audit watch" in finding.advice) is (health is Health.LOOK)


def test_before_any_shard_has_read_retention_can_take_nothing() -> None:
    assert retention([]).health is Health.WELL


@pytest.mark.parametrize(
    ("newest_ms", "said", "health"),
    [
        (0, "no observation yet", Health.WELL),
        (NOW_MS - 5_000, "5 s ago", Health.WELL),
        (NOW_MS + 20_000, "0 s ago", Health.WELL),
        (NOW_MS + 3_600_000, "3,600 s behind the newest", Health.WRONG),
    ],
)
def test_this_clock_must_not_be_behind_the_newest_observation(
    newest_ms: int, said: str, health: Health
) -> None:
    finding = newest(newest_ms, now_ms=NOW_MS)
    assert said in finding.found
    assert finding.health is health


async def test_the_newest_observation_is_looked_for_in_the_log() -> None:
    read = settings.read({}, env_file=None)
    clock = ManualClock(NOW_MS)
    await apply_topics(read, clock=clock)
    assert (await found())["newest"].found == "no observation yet"
    seen = PriceObserved(contract_id=STX, source="a", usd="1", observed_at=NOW_MS)
    async with open_log(read, clock=ManualClock(NOW_MS)) as log:
        await log.append(PRICES_RAW, [(0, Entry(STX.encode(), encode(seen)))])
    assert (await found())["newest"].found == "observed 0 s ago"


def test_a_redirect_is_told_with_where_it_leads() -> None:
    headers = {"location": "https://hiro.example/\n"}
    finding = judged("hiro", "http://h", 308, headers, now_ms=NOW_MS)
    assert finding.found == "http://h: 308, moved to https://hiro.example/?"


@pytest.mark.parametrize(
    ("ages_s", "said", "health"),
    [
        pytest.param({}, "none observed yet", Health.WELL, id="none"),
        pytest.param(
            {"kraxel": 2, "stxtools": 59, "internal": 3},
            "observed 2 s ago",
            Health.WELL,
            id="all are heard",
        ),
        pytest.param(
            {"kraxel": 61, "stxtools": 60, "internal": 3},
            "observed 3 s ago; none of kraxel for 61 s",
            Health.LOOK,
            id="one is silent",
        ),
        pytest.param(
            {"stxtools": 3, "internal": 700},
            "observed 3 s ago; none of kraxel for more than 700 s, "
            "none of internal for 700 s",
            Health.LOOK,
            id="one was not heard as far as was looked",
        ),
    ],
)
def test_the_age_of_the_prices_of_each_source_is_told(
    ages_s: dict[str, int], said: str, health: Health
) -> None:
    newest_ms = {name: NOW_MS - age_s * 1_000 for name, age_s in ages_s.items()}
    moments = PriceMoments(newest_ms, min(newest_ms.values(), default=None))
    finding = prices(moments, settings.read({}, env_file=None), now_ms=NOW_MS)
    assert (finding.found, finding.health) == (said, health)
    assert ("/health/ready" in finding.advice) is (health is Health.LOOK)


async def test_an_upstream_that_fell_silent_is_a_finding() -> None:
    read = settings.read({}, env_file=None)
    await apply_topics(read, clock=ManualClock(NOW_MS))
    assert (await found())["prices"].found == "none observed yet"
    async with open_log(read, clock=ManualClock(NOW_MS)) as log:
        for source, age_ms in (("kraxel", 84_000), ("stxtools", 1_000)):
            seen = PriceObserved(
                contract_id=STX, source=source, usd="1", observed_at=NOW_MS - age_ms
            )
            await log.append(PRICES_RAW, [(0, Entry(STX.encode(), encode(seen)))])
        await log.append(PRICES_RAW, [(0, Entry(b"odd", b"{"))])
    finding = (await found())["prices"]
    assert finding.health is Health.LOOK
    assert "none of kraxel for 84 s, none of internal for more than 84" in finding.found


def test_every_upstream_has_a_probe() -> None:
    at = urls(settings.read({}, env_file=None))
    assert all(getattr(at, name) for name in checks._PROBES)


@pytest.mark.parametrize(
    ("free_bytes", "health"),
    [(0, Health.WRONG), (4 * 2**30, Health.WRONG), (6 * 2**30, Health.WELL)],
)
def test_a_disk_that_is_almost_full_is_wrong(free_bytes: int, health: Health) -> None:
    finding = disk(total_bytes=100 * 2**30, free_bytes=free_bytes)
    assert finding.health is health
    assert bool(finding.advice) is (health is Health.WRONG)


def test_a_disk_that_is_full_within_a_day_is_wrong() -> None:
    finding = growth(size_bytes=2**30, free_bytes=2**29, age_ms=DAY_MS)
    assert finding.health is Health.WRONG


async def test_the_disk_is_looked_at_before_the_log_is_opened() -> None:
    assert next(iter(await found())) == "settings"
    assert [*await found()][1] == "disk"


async def test_a_running_system_is_what_is_looked_at(tmp_path: Path) -> None:
    log = tmp_path / "log.sqlite"
    running = RunningSystem(7, "127.0.0.1:2345", "http://127.0.0.1:9/s", {})
    with noted(log, running):
        findings = await found(log=f"{log}")
    assert findings["port"].health is Health.WELL
    assert "127.0.0.1:2345 (process 7)" in findings["port"].found
    assert findings["hiro"].found.startswith("http://127.0.0.1:9/s/hiro")
