"""A whole run: ingest as a process of its own, its upstreams hostile, judged all the while."""

import asyncio
import re
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import httpx

from app.ports import free_port
from eventlog.port import EventLog, Partition, Record
from eventlog.sqlite import SqliteConfig, open_sqlite
from schemas.base import decoder
from schemas.ids import UserId
from schemas.prices import PriceObserved
from schemas.topics import PRICES_RAW
from tests.hostile.judge import (
    MAX_RSS_MB,
    Rules,
    Sample,
    late,
    wrong_states,
)
from tests.hostile.upstreams import Upstreams, serving
from tests.support.foreign import THREE, USER
from tests.support.ingesting import PARTITIONS, lease, publish_token
from tests.support.logs import now_ms
from tests.support.processes import environment

GOOD = "kraxel"
# Sources whose state follows from what their server did; the others need several answers
# for one reading, or are asked only while somebody is watched.
JUDGED = frozenset({"kraxel", "stxtools", "internal", "charisma"})
_INTERVAL_S, _FLOOR_S, _SLACK_S = 5.0, 12.0, 4.0
RULES = Rules(_INTERVAL_S, window_s=max(2 * _INTERVAL_S, _FLOOR_S), slack_s=_SLACK_S)
_EVERY_S = 0.5
_ANSWER_S = 10.0
_STOP_S = 20.0
_USERS = (USER, *(UserId(f"{USER}.user-{number}") for number in range(11)))
_MOST_SHOWN = 20
_observed = decoder(PriceObserved)


@dataclass
class Report:
    """What was done and what was found."""

    seed: int
    flaws: "Counter[str]" = field(default_factory=Counter)
    seconds: float = 0.0
    samples: int = 0
    peak_rss_mb: float = 0.0
    peak_hwm_mb: float = 0.0
    rounds: int = 0
    longest_gap_s: float = 0.0
    lines: int = 0
    requests: int = 0
    sockets: int = 0
    answers: "Counter[str]" = field(default_factory=Counter)

    @property
    def is_ok(self) -> bool:
        return not self.flaws

    def line(self) -> str:
        """Return the run in one line."""
        kinds = " ".join(f"{k.lower()}={n}" for k, n in sorted(self.answers.items()))
        return (
            f"VERDICT {'ok' if self.is_ok else 'VIOLATED'} seed={self.seed} "
            f"seconds={self.seconds:.0f} requests={self.requests} {kinds} "
            f"push={self.sockets} rounds={self.rounds} "
            f"longest_gap_s={self.longest_gap_s:.1f} rss_mb={self.peak_rss_mb:.0f} "
            f"peak_mb={self.peak_hwm_mb:.0f} log_lines={self.lines} "
            f"flaws={sum(self.flaws.values())}"
        )


async def run(
    folder: Path,
    seed: int,
    *,
    seconds: float,
    say: Callable[[str], None],
    **changes: object,
) -> Report:
    """Run for so long, and return what was found; ``changes`` are of ingest's settings."""
    report = Report(seed)
    async with AsyncExitStack() as stack:
        upstreams = await stack.enter_async_context(
            serving(seed, good=frozenset({GOOD}))
        )
        settings = {**_settings(folder, upstreams), **changes}
        await _create_topics(folder, settings)
        log = await stack.enter_async_context(
            open_sqlite(SqliteConfig(folder / "log.sqlite", now_ms=now_ms))
        )
        await _watch_users(log)
        for token in THREE:
            await publish_token(log, f"{token}-subnet", type="SUBNET", base=token)
        process = await stack.enter_async_context(_ingest(folder, settings))
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=_ANSWER_S))
        url = f"http://127.0.0.1:{settings['metrics_port']}"
        await _look_on(_Watched(process, http, url, upstreams), report, seconds, say)
        _judge_readings(await _rounds(log), report)
        _judge_lines(folder / "ingest.log", report)
        _count(upstreams, report)
    return report


def _settings(folder: Path, upstreams: Upstreams) -> dict[str, object]:
    urls = ("hiro_url", "kraxel_url", "stxtools_url", "invest_url", "tokens_url")
    return {
        **dict.fromkeys(urls, upstreams.url),
        "push_url": f"ws{upstreams.url.removeprefix('http')}/push",
        "log": folder / "log.sqlite",
        "live": "true",
        "partitions": PARTITIONS,
        "price_sources": '["kraxel","stxtools","internal"]',
        "first_price_s": 0,
        "price_interval_s": _INTERVAL_S,
        "token_interval_s": _INTERVAL_S,
        "balance_interval_s": 1,
        "silence_floor_s": _FLOOR_S,
        "request_timeout_s": 3,
        "source_per_minute": 6_000,
        "hiro_per_minute": 6_000,
        "metrics_port": free_port("127.0.0.1"),
    }


async def _create_topics(folder: Path, settings: dict[str, object]) -> None:
    process = await _started(folder, settings, "topics", "apply")
    if await process.wait():
        raise AssertionError((folder / "topics.log").read_text())


async def _started(folder: Path, settings: dict[str, object], *command: str) -> Process:
    with (folder / f"{command[0]}.log").open("ab") as lines:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app",
            *command,
            cwd=folder,
            env=environment(settings),
            stdout=lines,
            stderr=lines,
        )


@asynccontextmanager
async def _ingest(folder: Path, settings: dict[str, object]) -> AsyncIterator[Process]:
    process = await _started(folder, settings, "ingest")
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _watch_users(log: EventLog) -> None:
    await lease(log, _USERS, edge="hostile", until_ms=now_ms() + 86_400_000)


@dataclass
class _Watched:
    process: Process
    http: httpx.AsyncClient
    url: str
    upstreams: Upstreams


async def _look_on(
    watched: _Watched, report: Report, seconds: float, say: Callable[[str], None]
) -> None:
    loop = asyncio.get_running_loop()
    began_s, misses = loop.time(), 0
    while (elapsed_s := loop.time() - began_s) < seconds:
        report.seconds = elapsed_s
        if watched.process.returncode is not None:
            _add(report, f"ingest ended with {watched.process.returncode}", say)
            return
        sample = await _sample(watched, report)
        if sample is not None:
            _judge(sample, watched.upstreams, report, say)
        # Before the first answer it is starting; after it, one miss may be its end.
        misses = misses + 1 if sample is None and report.samples else 0
        if misses > 1:
            _add(report, "ingest does not answer", say)
        await asyncio.sleep(_EVERY_S)
    report.seconds = loop.time() - began_s


def _add(report: Report, flaw: str, say: Callable[[str], None]) -> None:
    if flaw not in report.flaws and len(report.flaws) < _MOST_SHOWN:
        say(f"{report.seconds:.0f} s: {flaw}")
    report.flaws[flaw] += 1


async def _sample(watched: _Watched, report: Report) -> Sample | None:
    """Ask how ingest is; ``None`` when it does not answer."""
    try:
        health = (await watched.http.get(f"{watched.url}/health/ready")).json()
        metrics = (await watched.http.get(f"{watched.url}/metrics")).text
    except httpx.TransportError:
        return None
    now_s = asyncio.get_running_loop().time()
    rss_mb, hwm_mb = _memory_mb(watched.process.pid)
    report.samples += 1
    report.peak_rss_mb = max(report.peak_rss_mb, rss_mb)
    report.peak_hwm_mb = max(report.peak_hwm_mb, hwm_mb)
    silent = [w for w in health["warnings"] if w.startswith("silent: ")]
    return Sample(
        now_s,
        rss_mb,
        frozenset(re.findall(r"([a-z-]+) \(\w+\): no usable answer", " ".join(silent))),
        frozenset(
            re.findall(
                r'^stacks_feed_source_silent\{[^}]*source="([^"]+)"[^}]*\} 1\.0$',
                metrics,
                re.MULTILINE,
            )
        ),
    )


def _judge(
    sample: Sample, upstreams: Upstreams, report: Report, say: Callable[[str], None]
) -> None:
    if sample.rss_mb > MAX_RSS_MB:
        _add(report, f"more than {MAX_RSS_MB:.0f} MB of memory", say)
    for flaw in wrong_states(sample, upstreams.sources, RULES, judged=JUDGED):
        _add(report, flaw, say)


def _memory_mb(pid: int) -> tuple[float, float]:
    """Return what a process holds in memory, and the most that it ever held."""
    said = dict(
        line.split(":", 1)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("Vm")
    )
    now, most = (int(said[name].split()[0]) / 1_024 for name in ("VmRSS", "VmHWM"))
    return now, most


async def _rounds(log: EventLog) -> list[int]:
    """Return the moments at which the good source was read."""
    parts = {Partition(PRICES_RAW, number): 0 for number in range(PARTITIONS)}
    records: list[Record] = []
    async with log.reader(parts) as reader:
        while batches := await reader.read(max_records=2_000, wait_s=0.2):
            records += [r for found in batches.values() for r in found]
    seen = [_observed(record.value or b"") for record in records]
    prices = [one for one in seen if isinstance(one, PriceObserved)]
    return sorted({one.observed_at for one in prices if one.source == GOOD})


def _judge_readings(moments_ms: list[int], report: Report) -> None:
    report.rounds = len(moments_ms)
    gaps = [after - before for before, after in pairwise(moments_ms)]
    report.longest_gap_s = max(gaps, default=0) / 1_000
    report.flaws.update(late(moments_ms, RULES))
    if len(moments_ms) < report.seconds / (3 * _INTERVAL_S):
        report.flaws[f"the good source was read {len(moments_ms)} times"] += 1


def _judge_lines(path: Path, report: Report) -> None:
    lines = path.read_text(errors="replace").splitlines()
    report.lines = len(lines)
    report.flaws.update(line[:2_000] for line in lines if '"traceback"' in line)


def _count(upstreams: Upstreams, report: Report) -> None:
    report.requests, report.sockets = upstreams.requests, upstreams.sockets
    for source in upstreams.sources.values():
        report.answers.update(source.answers)
    if upstreams.cookies:
        report.flaws["requests carried a cookie"] += upstreams.cookies
    if upstreams.strangers:
        report.flaws["a redirect was followed"] += upstreams.strangers
