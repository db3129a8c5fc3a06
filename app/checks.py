"""The checks of `doctor`: each says how something is, and what to do if it is not well."""

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from app.bootstrap import open_log
from app.configs import ingest_config, place_of, urls, wanted_log
from app.errors import OPERATIONAL, OperatorError, in_one_line, without_codes
from app.places import File
from app.ports import address, check_free
from app.retention import Standing, history_margins, standings
from app.room import room_of
from app.running import RunningSystem, running_systems
from app.settings import Settings
from app.topics import Shown, check_identity, in_words, show
from eventlog.port import EventLog
from ingest.core.headers import http_date_s, shown
from processor.retention import HistoryMargin
from runtime.clock import Clock

if TYPE_CHECKING:
    from httpx import AsyncClient, Response

    from ingest.standing import PriceMoments

_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_HOUR_S = 3_600
_PROBE_LIMIT_S = 10.0
_CLOCK_TOLERANCE_S = 2.0
# Further behind than this ingest holds back.
_BEHIND_S = 30.0
_LEAST_DAYS, _GIB = 7, 2**30
# The simulated world adds this much in a day by default; the real one adds less.
_FIRST_DAY_BYTES = 500 * 10**6
# A disk with a smaller share of free space counts as full.
_LEAST_SHARE = 0.05
# A source without a price for so many of its intervals is silent, as in ingest
# (`ingest.core.silence`).
_SILENT_INTERVALS = 2
_OK = 200
# A small answer of each upstream that has a Date header and needs no key.
_PROBES = {
    "hiro": "/extended",
    "kraxel": "/api/prices",
    "stxtools": "/tokens?page=0&size=1",
    "invest": "/api/v1/prices?limit=1",
    "tokens": "/api/v1/sip10-paginated?page=1&limit=1",
}


class Health(Enum):
    """How a check came out; only ``WRONG`` makes the exit code 1."""

    WELL = "ok"
    LOOK = "look"
    WRONG = "wrong"


class Finding(NamedTuple):
    """One check: what it found and, unless all is well, what to do."""

    name: str
    health: Health
    found: str
    advice: str = ""


async def findings(settings: Settings, *, clock: Clock) -> AsyncIterator[Finding]:
    """Check everything, quick things first; never raises for what is found.

    Where a system of `up` runs on the log, it is that system that is looked at, whatever
    ports it has.
    """
    yield Finding(
        "settings",
        Health.WELL,
        f"{settings.environment_name}, {settings.world.value} world on "
        f"{settings.network.value}",
    )
    place = place_of(settings)
    if isinstance(place, File):
        yield _disk(place.path)
    systems = running_systems(place.path) if isinstance(place, File) else []
    yield _port(settings, systems)
    simulators = [each.simulator_url for each in systems if each.simulator_url]
    if simulators and settings.simulated and settings.simulator_url is None:
        settings = settings.model_copy(update={"simulator_url": simulators[0]})
    async for finding in _log(settings, clock=clock):
        yield finding
    async for finding in _upstreams(settings, clock=clock):
        yield finding


def _disk(log: Path) -> Finding:
    """Look at free space before anything is opened: a full disk explains all the rest."""
    room = room_of(log)
    return disk(total_bytes=room.total_bytes, free_bytes=room.free_bytes)


def disk(*, total_bytes: int, free_bytes: int) -> Finding:
    """Say whether there is room on the disk of a log, whatever the age of the log."""
    share = free_bytes / max(total_bytes, 1)
    found = f"{free_bytes / _GIB:,.1f} of {total_bytes / _GIB:,.1f} GiB free"
    if share < _LEAST_SHARE:
        advice = (
            "make room or move the log: once the disk is full nothing more is written, "
            "and values stay as they are"
        )
        return Finding("disk", Health.WRONG, f"{found} ({share:.0%})", advice)
    return Finding("disk", Health.WELL, found)


def _port(settings: Settings, systems: Sequence[RunningSystem]) -> Finding:
    if systems:
        edges = ", ".join(f"{each.edge} (process {each.pid})" for each in systems)
        return Finding("port", Health.WELL, f"`up` serves at {edges}")
    where = address(settings.host, settings.port)
    try:
        check_free(
            settings.host, settings.port, what="edge", setting="STACKS_FEED_PORT"
        )
    except OperatorError as error:
        advice = f"{error}. If the edge itself runs there, all is well"
        return Finding("port", Health.LOOK, f"{where} is taken", advice)
    return Finding("port", Health.WELL, f"{where} is free")


async def _log(settings: Settings, *, clock: Clock) -> AsyncIterator[Finding]:
    try:
        async with open_log(settings, clock=clock) as log:
            shown = await show(log, wanted_log(settings))
            yield Finding("log", Health.WELL, f"{log.where} answers")
            yield _identity(settings, shown, log)
            yield _topics(shown)
            if shown.identity is not None and not shown.missing:
                partitions = shown.identity.partitions
                stand = await standings(
                    log, partitions=partitions, now_ms=clock.now_ms()
                )
                yield retention(stand)
                yield history(
                    await history_margins(log, partitions=partitions, clock=clock)
                )
                yield newest(await _newest_ms(log, partitions), now_ms=clock.now_ms())
                moments = await _price_moments(log, partitions)
                yield prices(moments, settings, now_ms=clock.now_ms())
            place = place_of(settings)
            if isinstance(place, File):
                yield _growth(place.path, shown, now_ms=clock.now_ms())
    except OPERATIONAL as error:
        said = in_one_line(error) or repr(error)
        yield Finding("log", Health.WRONG, "cannot be used", said)


def _identity(settings: Settings, shown: Shown, log: EventLog) -> Finding:
    identity = shown.identity
    if identity is None:
        advice = shown.lost or "run `stacks-feed topics apply`"
        return Finding("identity", Health.WRONG, "none", advice)
    found = f"{identity.id}, {identity.world.value} on {identity.network.value}"
    try:
        check_identity(
            identity, network=settings.network, world=settings.world, where=log.where
        )
    except OperatorError as error:
        return Finding("identity", Health.WRONG, found, f"{error}")
    return Finding("identity", Health.WELL, found)


def _topics(shown: Shown) -> Finding:
    if shown.missing:
        names = ", ".join(shown.missing)
        advice = shown.lost or "run `stacks-feed topics apply`"
        return Finding("topics", Health.WRONG, f"missing: {names}", advice)
    if shown.drift:
        said = "; ".join(in_words(drift) for drift in shown.drift)
        advice = "change them with the broker's own tool, or change the settings"
        return Finding("topics", Health.WRONG, said, advice)
    return Finding("topics", Health.WELL, f"all {len(shown.topics)} as they should be")


def retention(found: Sequence[Standing]) -> Finding:
    """Say whether what no shard has read yet may soon be deleted, or has been."""
    gaps = [each.gap for each in found if each.gap is not None]
    if gaps:
        said = "; ".join(
            f"{gap.topic}[{gap.shard}] lacks offsets {gap.first} to {gap.last} "
            f"({gap.count}), deleted unread"
            for gap in gaps
        )
        names = ",".join(gap.name for gap in gaps)
        advice = (
            f"put the topics back from a copy, or set STACKS_FEED_ACCEPT_LOSS={names}"
        )
        return Finding("retention", Health.WRONG, said, advice)
    near = min(found, key=lambda each: each.left_s, default=None)
    if near is None or near.left_s == math.inf:
        return Finding("retention", Health.WELL, "nothing unread can be deleted")
    said = (
        f"{near.topic}[{near.shard}]: {near.waiting} observations wait, deleted from "
        f"{near.left_s / _HOUR_S:,.1f} hours from now on"
    )
    if near.danger:
        advice = "start a processor, or see why it is so far behind, or keep the topic longer"
        return Finding("retention", Health.LOOK, said, advice)
    return Finding("retention", Health.WELL, said)


def history(margins: Sequence[HistoryMargin]) -> Finding:
    """Say how long history can still be derived from its beginning or from a snapshot."""
    near = min(margins, key=lambda each: each.left_s, default=None)
    if near is None or near.left_s == math.inf:
        return Finding("history", Health.WELL, "its beginning is not deleted")
    begins = (
        "its first commit"
        if near.snapshot is None
        else f"the snapshot after commit {near.snapshot}"
    )
    if near.left_s < 0:
        said = (
            f"shard {near.shard}: {near.topic} was deleted after {begins}, so nothing "
            "before the next snapshot can be verified"
        )
        advice = "see `audit watch --from` in docs/operations.md, Verifying the log"
        return Finding("history", Health.LOOK, said, advice)
    said = (
        f"shard {near.shard} begins with {begins}; {near.topic} after it is deleted from "
        f"{near.left_s / _HOUR_S:,.1f} hours from now on"
    )
    if near.danger:
        advice = "run `stacks-feed audit watch`, which writes snapshots"
        return Finding("history", Health.LOOK, said, advice)
    return Finding("history", Health.WELL, said)


async def _newest_ms(log: EventLog, partitions: int) -> int:
    from ingest.standing import newest_moment_of  # noqa: PLC0415 - only where asked for

    return await newest_moment_of(log, range(partitions))


async def _price_moments(log: EventLog, partitions: int) -> "PriceMoments":
    from ingest.standing import newest_prices  # noqa: PLC0415 - only where asked for

    return await newest_prices(log, range(partitions))


def prices(moments: "PriceMoments", settings: Settings, *, now_ms: int) -> Finding:
    """Say how old the prices in the log are, and which source has given none for long."""
    if moments.since_ms is None:
        return Finding("prices", Health.WELL, "none observed yet")
    config = ingest_config(settings)
    limit_s = max(_SILENT_INTERVALS * config.price_interval_s, config.silence_floor_s)
    ages_s = {
        source: max(0.0, (now_ms - moment_ms) / 1_000)
        for source, moment_ms in moments.newest_ms.items()
    }
    looked_s = max(0.0, (now_ms - moments.since_ms) / 1_000)
    found = f"observed {min(ages_s.values()):,.0f} s ago"
    silent = [
        f"{source} for {ages_s[source]:,.0f} s"
        if source in ages_s
        else f"{source} for more than {looked_s:,.0f} s"
        for source in config.price_sources
        if ages_s.get(source, looked_s) > limit_s
    ]
    if not silent:
        return Finding("prices", Health.WELL, found)
    advice = (
        "start ingest; if it runs, its /health/ready says which source is silent, why, "
        "and what to do"
    )
    said = f"{found}; none of {', none of '.join(silent)}"
    return Finding("prices", Health.LOOK, said, advice)


def newest(newest_ms: int, *, now_ms: int) -> Finding:
    """Say how old the newest observation is: this clock must not be behind it."""
    if newest_ms == 0:
        return Finding("newest", Health.WELL, "no observation yet")
    age_s = (now_ms - newest_ms) / 1_000
    if age_s >= -_BEHIND_S:
        found = f"observed {max(age_s, 0):,.0f} s ago"
        return Finding("newest", Health.WELL, found)
    found = f"this clock is {-age_s:,.0f} s behind the newest observation"
    advice = (
        "nothing is read until it is there: set this machine's clock (NTP). If it is "
        "right, the log was written under one that was ahead; its last values stay "
        "until then"
    )
    return Finding("newest", Health.WRONG, found, advice)


def _growth(path: Path, shown: Shown, *, now_ms: int) -> Finding:
    room = room_of(path)
    return growth(
        size_bytes=room.log_bytes,
        free_bytes=room.free_bytes,
        age_ms=now_ms - shown.identity.created_at if shown.identity else 0,
    )


def growth(*, size_bytes: int, free_bytes: int, age_ms: int) -> Finding:
    """Say how fast the file has grown over its life and when the disk would be full."""
    held = f"{size_bytes / 2**20:,.1f} MiB, {free_bytes / _GIB:,.1f} GiB free"
    if age_ms < _HOUR_MS:
        return _first_growth(held, free_bytes=free_bytes)
    a_day = max(size_bytes * _DAY_MS / age_ms, 1)
    days = free_bytes / a_day
    found = f"{held}; {a_day / 2**20:,.1f} MiB a day, full in {days:,.0f} days"
    if days < 1:
        advice = "make room or move the log now: the disk is full within a day"
        return Finding("growth", Health.WRONG, found, advice)
    if days < _LEAST_DAYS:
        advice = (
            "make room, move the log, or keep less history in a new log "
            "(STACKS_FEED_AUDIT_DAYS)"
        )
        return Finding("growth", Health.LOOK, found, advice)
    return Finding("growth", Health.WELL, found)


def _first_growth(held: str, *, free_bytes: int) -> Finding:
    """Judge the room of a log that is too young to tell how fast it grows."""
    found = f"{held}; too young to tell the growth"
    if free_bytes >= _FIRST_DAY_BYTES:
        return Finding("growth", Health.WELL, found)
    found += f", but a first day adds up to {_FIRST_DAY_BYTES / 10**6:,.0f} MB"
    advice = "make room or move the log now: the disk is full within a day"
    return Finding("growth", Health.WRONG, found, advice)


async def _upstreams(settings: Settings, *, clock: Clock) -> AsyncIterator[Finding]:
    import httpx  # noqa: PLC0415 - only the last checks need it

    at = urls(settings)
    async with httpx.AsyncClient(timeout=_PROBE_LIMIT_S) as client:
        for name, path in _PROBES.items():
            url = f"{getattr(at, name)}{path}"
            try:
                answer = await _head(client, url)
            except httpx.HTTPError as error:
                yield _unreachable(settings, name, url, error)
                continue
            status, headers = answer.status_code, answer.headers
            yield judged(name, url, status, headers, now_ms=clock.now_ms())


async def _head(client: "AsyncClient", url: str) -> "Response":
    """Ask with GET, which all of them know, but leave large bodies unread."""
    async with client.stream("GET", url) as answer:
        return answer


def _unreachable(settings: Settings, name: str, url: str, error: Exception) -> Finding:
    found = f"{url}: {without_codes(str(error)) or type(error).__name__}"
    if settings.simulated and settings.simulator_url is None:
        advice = (
            "no simulator runs here; `stacks-feed up` starts one on a port of its own"
        )
        return Finding(name, Health.LOOK, found, advice)
    advice = f"check the network, a proxy, and STACKS_FEED_{name.upper()}_URL"
    return Finding(name, Health.WRONG, found, advice)


def judged(
    name: str, url: str, status: int, headers: Mapping[str, str], *, now_ms: int
) -> Finding:
    """Judge an upstream by its status, and this machine's clock by its ``Date``."""
    found = f"{url}: {status}"
    advice = _STATUS_ADVICE.get(status)
    if status in _REDIRECTS:
        found += f", moved to {shown(headers.get('location', 'nowhere'))}"
        advice = f"set STACKS_FEED_{name.upper()}_URL to where it is now"
    elif advice is None and status != _OK:
        advice = "its own trouble; values stay as they are until it answers again"
    if advice is not None:
        return Finding(name, Health.WRONG, found, advice)
    ahead_s = _ahead_s(headers, now_ms=now_ms)
    if ahead_s is not None and abs(ahead_s) > _CLOCK_TOLERANCE_S:
        found += f", this clock is {ahead_s:+.0f} s off"
        return Finding(name, Health.LOOK, found, "set this machine's clock (NTP)")
    return Finding(name, Health.WELL, found)


_REDIRECTS = range(300, 400)
_STATUS_ADVICE = {
    401: "the key is refused; correct STACKS_FEED_HIRO_API_KEY",
    403: "access is refused; check the key and whether this address is blocked",
    404: "nothing there; correct the URL of this upstream",
    405: "nothing to read there; correct the URL of this upstream",
    410: "this endpoint is gone; another generation is read meanwhile. If it stays so, "
    "set STACKS_FEED_ACCOUNTS_API to another one",
    429: "rate-limited; wait, get a key, or lower STACKS_FEED_HIRO_PER_MINUTE",
}


def _ahead_s(headers: Mapping[str, str], *, now_ms: int) -> float | None:
    """Return how far this clock is ahead of the upstream's; ``None`` if it says none."""
    said_s = http_date_s(headers.get("date", ""))
    # The header has whole seconds: half a second is its middle.
    return None if said_s is None else now_ms / 1_000 - said_s - 0.5
