"""One upstream over HTTP: its budget, its retries, its breakers; values out."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookiejar import CookieJar
from typing import Any, Generic, TypeVar

import httpx

from ingest.config import Upstream
from ingest.core import budget as budgets
from ingest.core.backoff import (
    Verdict,
    cause_of,
    delay_s,
    is_about_subject,
    refusal,
    retry_after_s,
    verdict,
)
from ingest.core.headers import Headers, entity_tag, headers_of, shown
from ingest.core.inflate import BadBody, Body
from ingest.core.moments import clock_ahead_s
from ingest.core.normalize.body import Unusable
from ingest.core.silence import Cause, Failure
from ingest.source_watch import SourceWatch
from ingest.sources.guard import guarded, log_bug
from ingest.sources.moments import MomentSource
from ingest.waiting import sleep_or
from runtime.clock import Clock
from runtime.metrics import (
    BREAKER_OPEN,
    BUDGET_LEFT,
    CLOCK_AHEAD,
    REQUEST_SECONDS,
    REQUESTS,
    UPSTREAM_REJECTS,
    UPSTREAM_SLOWED,
)

_logger = logging.getLogger("ingest.client")
_T = TypeVar("_T")
_CONNECTIONS = 16
# A probe may take as long as a request does; whoever waits for it looks again then.
_LOOK_AGAIN_S = 1.0
_LEAST_WAIT_S = 0.001
# The body of any answer but a 200 is of no interest. It is read, as far as this, only so
# that the connection can be used again.
_DRAINED_BYTES, _DRAIN_S = 65_536, 1.0
_READ = frozenset({Verdict.READ, Verdict.UNCHANGED})


class SourceDown(Exception):
    """A source gave no reading this time; ask again later. Nothing is to be written.

    ``declined`` tells that it is there and declines what was asked: it will say the same
    next time. ``asked`` tells that a request went out at all.
    """

    def __init__(
        self, source: str, *, why: str, declined: bool = False, asked: bool = True
    ) -> None:
        super().__init__(f"{source}: {why}")
        self.source, self.why = source, why
        self.declined, self.asked = declined, asked


class SourceGone(SourceDown):
    """The endpoint was switched off (410): use another generation of it."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. ``path`` starts with a slash and is percent-encoded already.

    ``subject`` is whom or what it is about, where a source knows many: it may be the
    subject that fails (an account too large to be read), and not the source.

    ``is_part`` marks one of several requests that make a reading: a good answer to it does
    not count as one of the source until ``UpstreamClient.confirm``. ``has_successor`` says
    that a 410 is no failure, for another endpoint takes over. ``may_be_missing`` marks an
    endpoint that we were not told to use: a 404 or 405 says the same of it as a 410.

    ``is_trial`` marks a request to an endpoint that was gone, while another one is in use:
    it is sent once, and no failure of it is one of the source.
    """

    source: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    # Sent as a POST when there is one.
    json: object = None
    subject: str | None = None
    is_part: bool = False
    has_successor: bool = False
    may_be_missing: bool = False
    is_trial: bool = False


@dataclass(frozen=True, slots=True)
class Answer(Generic[_T]):
    """What an upstream said: ``said`` ``None`` means unchanged (304).

    ``observed_at`` is the moment the request went out: the answer cannot show an
    earlier state, and no later one is promised.
    """

    said: _T | None
    observed_at: int
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class _Raw:
    status: int
    headers: Headers
    body: bytes


class _Trouble(Exception):
    """One attempt failed; ``again`` tells whether another may help.

    ``declined`` tells that the answer declines what was asked.
    """

    def __init__(
        self,
        failure: Failure,
        *,
        outcome: str,
        again: bool = True,
        declined: bool = False,
    ) -> None:
        super().__init__(failure.why)
        self.failure, self.outcome = failure, outcome
        self.again, self.declined = again, declined

    @property
    def why(self) -> str:
        return self.failure.why

    def is_gone(self, ask: Ask) -> bool:
        """Tell whether the answer says that the endpoint is gone."""
        if self.outcome == Verdict.GONE.value:
            return True
        return ask.may_be_missing and self.failure.cause is Cause.MISSING

    def costs_nothing(self, ask: Ask) -> bool:
        """Tell whether another endpoint of the source is there to answer instead."""
        return ask.is_trial or (ask.has_successor and self.is_gone(ask))


class UpstreamClient:
    """Asks one upstream; shared by all who do, so that they share its budget."""

    def __init__(
        self,
        name: str,
        upstream: Upstream,
        *,
        http: httpx.AsyncClient,
        clock: Clock,
        moments: MomentSource,
        draw: Callable[[], float],
    ) -> None:
        self.name = name
        self._watch = SourceWatch(clock)
        self._upstream, self._http = upstream, http
        self._clock, self._moments, self._draw = clock, moments, draw
        self._budget = budgets.full(upstream.limits, now_s=clock.monotonic_s())
        self._breakers: dict[str, budgets.Breaker] = {}
        # Why each source that is left alone is; and those that are being probed now.
        self._why: dict[str, str] = {}
        self._probed: set[str] = set()
        # For each source, the subjects that failed since it last answered.
        self._failing: dict[str, set[str]] = {}
        # For each source, the requests a second that it needs to keep to its interval.
        self._needs: dict[str, float] = {}
        self._is_slow = self._is_limited = False
        self.clock_ahead_s: float | None = None
        # Sources of which it was logged that they are deprecated, or refuse our key.
        self._deprecated: set[str] = set()
        self._key_refused: set[str] = set()
        self._turn, self._learnt = asyncio.Lock(), asyncio.Event()
        self._slots = asyncio.Semaphore(_CONNECTIONS)

    def report_to(self, watch: SourceWatch) -> None:
        """Tell ``watch`` from now on what becomes of each request."""
        self._watch = watch

    @property
    def rate_s(self) -> float:
        """Requests a second that the budget allows in the long run, as things are."""
        return self._budget.rate_s

    @property
    def planned_rate_s(self) -> float:
        """Requests a second that the settings allow in the long run."""
        return self._budget.setting.rate_s

    def monotonic_s(self) -> float:
        """Return the time by the clock that all waits go by."""
        return self._clock.monotonic_s()

    def need(self, source: str, rate_s: float) -> None:
        """Take how many requests a second a source needs to keep to its interval."""
        if self._needs.get(source) != rate_s:
            self._needs[source] = rate_s
            self._note_slowness()

    def slowness(self) -> str | None:
        """Return why sources are asked less often than they should be, if so."""
        needed_s = sum(self._needs.values())
        now_s = self._clock.monotonic_s()
        return budgets.slowness(self._budget, needed_s, now_s=now_s)

    def left_alone(self) -> Mapping[str, str]:
        """Return the sources that are left alone until one request succeeds, and why."""
        return self._why

    def left_alone_s(self, source: str) -> float:
        """Return how long a source is left alone yet; 0 when it may be asked."""
        if source in self._probed:
            return _LOOK_AGAIN_S
        now_s = self._clock.monotonic_s()
        return max(0.0, self._breaker(source).open_until_s - now_s)

    async def ask(
        self, ask: Ask, parse: Callable[[bytes], _T | Unusable]
    ) -> Answer[_T]:
        """Send a request until it is answered; ``parse`` says whether it was.

        Raises ``SourceGone`` on 410 and ``SourceDown`` when the attempts are used up,
        when nothing is gained by another, or while the source is left alone. One that
        was gets a single request, whoever asks, before all others may go out again.
        """
        source = ask.source
        attempts = 1 if ask.is_trial else self._upstream.attempts
        if self.left_alone_s(source) > 0:
            REQUESTS.labels(source, "breaker").inc()
            why = "left alone after repeated failures"
            raise SourceDown(source, why=why, asked=False)
        if not budgets.is_tripped(self._breaker(source)):
            return await self._ask(ask, parse, attempts=attempts)
        self._probed.add(source)
        try:
            return await self._ask(ask, parse, attempts=1)
        finally:
            self._probed.discard(source)

    def _breaker(self, source: str) -> budgets.Breaker:
        return self._breakers.get(source, budgets.Breaker())

    async def _ask(
        self, ask: Ask, parse: Callable[[bytes], _T | Unusable], *, attempts: int
    ) -> Answer[_T]:
        try:
            answer = await self._attempts(ask, parse, attempts=attempts)
        except _Trouble as trouble:
            self._failed(ask, trouble)
            down = SourceGone if trouble.is_gone(ask) else SourceDown
            declined = trouble.declined and ask.subject is not None
            raise down(ask.source, why=trouble.why, declined=declined) from trouble
        if not ask.is_part:
            self.confirm(ask.source)
        return answer

    def confirm(self, source: str) -> None:
        """Count a usable answer of a source: all parts of a reading make a whole."""
        self._succeeded(source)
        self._watch.answered(source)

    def reject(
        self,
        source: str,
        why: str,
        *,
        subject: str | None = None,
        is_trial: bool = False,
    ) -> SourceDown:
        """Count a reading that is of no use though each answer was sound by itself.

        Returns what to raise.
        """
        REQUESTS.labels(source, "unusable").inc()
        UPSTREAM_REJECTS.labels(source).inc()
        trouble = _Trouble(Failure(why, Cause.UNUSABLE), outcome="unusable")
        ask = Ask(source, "", subject=subject, is_trial=is_trial)
        self._tell(ask, trouble)
        self._failed(ask, trouble)
        return SourceDown(source, why=why)

    def note_empty(self, source: str, why: str) -> None:
        """Note an answer that says of itself that there is nothing to read.

        It is no trouble, so the source is asked as before; nor is it a usable answer, so
        the source is silent if nothing else comes.
        """
        self._watch.failed(source, Failure(why, Cause.UNUSABLE))

    def derived(self, ask: Ask, make: Callable[[], _T | Unusable]) -> _T:
        """Return what ``make`` makes of answers that were read one by one.

        Raises ``SourceDown`` if they make nothing, as ``reject`` does.
        """
        found = guarded(ask.source, make)
        if isinstance(found, Unusable):
            raise self.reject(
                ask.source, found.why, subject=ask.subject, is_trial=ask.is_trial
            )
        return found

    async def _attempts(
        self, ask: Ask, parse: Callable[[bytes], _T | Unusable], *, attempts: int
    ) -> Answer[_T]:
        for attempt in range(attempts):
            try:
                answer = await self._attempt(ask, parse)
            except _Trouble as trouble:
                REQUESTS.labels(ask.source, trouble.outcome).inc()
                self._tell(ask, trouble)
                if not trouble.again or attempt + 1 == attempts:
                    raise
                await self._clock.sleep(delay_s(attempt, draw=self._draw()))
            else:
                REQUESTS.labels(
                    ask.source, "unchanged" if answer.said is None else "read"
                ).inc()
                return answer
        raise AssertionError("attempts are at least one")

    def _tell(self, ask: Ask, trouble: _Trouble) -> None:
        """Tell whoever watches the source that this was no usable answer."""
        if trouble.costs_nothing(ask):
            return
        if trouble.declined and ask.subject is not None:
            self._watch.refused(ask.source, ask.subject, trouble.failure)
        else:
            self._watch.failed(ask.source, trouble.failure)

    async def _attempt(
        self, ask: Ask, parse: Callable[[bytes], _T | Unusable]
    ) -> Answer[_T]:
        # The wait for a connection comes before the request's limit begins.
        async with self._slots:
            await self._spend()
            await self._moments.in_step()
            began_s, observed_at = self._clock.monotonic_s(), self._moments.next_ms()
            self._watch.asked(ask.source)
            raw = await self._send(ask)
        REQUEST_SECONDS.labels(ask.source).observe(self._clock.monotonic_s() - began_s)
        guarded(ask.source, lambda: self._learn(ask, raw))
        if self._judge(ask, raw) is Verdict.UNCHANGED:
            return Answer(None, observed_at)
        said = guarded(ask.source, lambda: parse(raw.body))
        if isinstance(said, Unusable):
            UPSTREAM_REJECTS.labels(ask.source).inc()
            raise _Trouble(
                Failure(said.why, Cause.UNUSABLE),
                outcome="unusable",
                again=said.again,
                declined=said.declined,
            )
        return Answer(said, observed_at, entity_tag(raw.headers))

    async def _spend(self) -> None:
        # One at a time, so that who came first goes first.
        async with self._turn:
            while True:
                now_s = self._clock.monotonic_s()
                wait_s = budgets.wait_s(self._budget, now_s=now_s)
                if wait_s <= 0:
                    break
                # What is left of a request may be too little to move a clock by.
                wait_s = max(wait_s, _LEAST_WAIT_S)
                await sleep_or(self._clock, wait_s, self._learnt)
            self._budget = budgets.spend(self._budget, now_s=now_s)

    async def _send(self, ask: Ask) -> _Raw:
        try:
            async with asyncio.timeout(self._upstream.timeout_s):
                return await self._receive(self._request(ask))
        except TimeoutError as error:
            failure = Failure("no answer in time", Cause.UNREACHABLE)
            raise _Trouble(failure, outcome="timeout") from error
        except BadBody as error:
            raise self._refused_body(ask, error) from error
        except httpx.HTTPError as error:
            why = shown(f"{type(error).__name__}: {error}")
            failure = Failure(why, Cause.UNREACHABLE)
            raise _Trouble(failure, outcome="connection") from error
        except Exception as error:
            # The transport reads foreign bytes too: its bugs are guarded against like ours.
            log_bug(ask.source, error)
            failure = Failure(type(error).__name__, Cause.UNREACHABLE)
            raise _Trouble(failure, outcome="connection") from error

    def _request(self, ask: Ask) -> httpx.Request:
        return self._http.build_request(
            "GET" if ask.json is None else "POST",
            self._upstream.url.rstrip("/") + ask.path,
            params=ask.params or None,
            headers=dict(ask.headers),
            json=ask.json,
        )

    async def _receive(self, request: httpx.Request) -> _Raw:
        response = await self._http.send(request, stream=True, follow_redirects=False)
        try:
            headers = headers_of(response.headers.raw)
            if response.status_code != HTTPStatus.OK:
                await _drain(response)
                return _Raw(response.status_code, headers, b"")
            return _Raw(response.status_code, headers, await self._body(response))
        finally:
            await response.aclose()

    async def _body(self, response: httpx.Response) -> bytes:
        if response.is_stream_consumed:
            # A transport without a socket hands the whole content over at once.
            return response.content
        codings = response.headers.get_list("content-encoding", split_commas=True)
        body = Body(codings, max_bytes=self._upstream.max_body_bytes)
        async for chunk in response.aiter_raw():
            body.feed(chunk)
            # Between two pieces the limit of the request may strike.
            while body.inflate():  # noqa: ASYNC110 - others get their turn
                await asyncio.sleep(0)
        return body.whole()

    def _refused_body(self, ask: Ask, error: BadBody) -> _Trouble:
        failure = Failure(error.why, Cause.UNUSABLE)
        if error.large:
            return _Trouble(failure, outcome="large", again=False)
        UPSTREAM_REJECTS.labels(ask.source).inc()
        return _Trouble(failure, outcome="unusable")

    def _learn(self, ask: Ask, raw: _Raw) -> None:
        now_s = self._clock.monotonic_s()
        # An error page of a proxy in between says nothing, not that there is no limit.
        if verdict(raw.status) in _READ or budgets.says_limits(raw.headers):
            before = self._budget.limits
            self._budget = budgets.learn(self._budget, raw.headers, now_s=now_s)
            if self._budget.limits != before:
                # Requests that wait by the old limits may go out sooner now.
                self._learnt.set()
            self._note_slowness()
        BUDGET_LEFT.labels(self.name, "minute").set(self._budget.minute)
        if self._budget.month is not None:
            BUDGET_LEFT.labels(self.name, "month").set(self._budget.month)
        ahead_s = clock_ahead_s(raw.headers, now_ms=self._clock.now_ms())
        if ahead_s is not None:
            self.clock_ahead_s = ahead_s
            CLOCK_AHEAD.labels(self.name).set(ahead_s)
        warning = raw.headers.get("warning", "")
        if warning.startswith("299") and ask.source not in self._deprecated:
            self._deprecated.add(ask.source)
            # It still answers. Once it is gone, that is a trouble with an advice.
            _logger.info(
                "endpoint deprecated",
                extra={"source": ask.source, "said": shown(warning)},
            )

    def _judge(self, ask: Ask, raw: _Raw) -> Verdict:
        """Return READ or UNCHANGED; raise for every answer that is no reading."""
        found = verdict(raw.status)
        match found:
            case Verdict.READ:
                self._unlimited()
                return found
            case Verdict.UNCHANGED if "if-none-match" in ask.headers:
                self._unlimited()
                return found
            case Verdict.LIMITED:
                self._block(raw)
            case Verdict.KEY:
                self._tell_key(ask.source, raw.status)
            case Verdict.UNCHANGED | Verdict.REFUSED | Verdict.GONE | Verdict.AGAIN:
                # An answer of "unchanged" to a question without a tag is none.
                pass
        raise _Trouble(
            Failure(refusal(raw.status, raw.headers), cause_of(raw.status)),
            outcome=found.value,
            again=found in {Verdict.AGAIN, Verdict.LIMITED},
            declined=is_about_subject(raw.status),
        )

    def _unlimited(self) -> None:
        if self._is_limited:
            self._is_limited = False
            _logger.info("host takes requests again", extra={"host": self.name})

    def _tell_key(self, source: str, status: int) -> None:
        """Say that a key is refused, once until the source answers again."""
        if source not in self._key_refused:
            self._key_refused.add(source)
            _logger.error("key refused", extra={"source": source, "status": status})

    def _block(self, raw: _Raw) -> None:
        for_s = retry_after_s(raw.headers, now_ms=self._clock.now_ms())
        # Up to a tenth more, so that not everybody is back in the same moment.
        for_s *= 1 + self._draw() / 10
        now_s = self._clock.monotonic_s()
        self._budget = budgets.block(self._budget, now_s=now_s, for_s=for_s)
        if not self._is_limited:
            self._is_limited = True
            _logger.warning(
                "host limits us", extra={"host": self.name, "wait_s": round(for_s, 1)}
            )
        self._note_slowness()

    def _note_slowness(self) -> None:
        """Log when a limit begins to slow us, and when it no longer does."""
        why = self.slowness()
        UPSTREAM_SLOWED.labels(self.name).set(why is not None)
        if why is not None and not self._is_slow:
            _logger.warning("limit slows us", extra={"host": self.name, "why": why})
        if why is None and self._is_slow:
            _logger.info("limit slows us no more", extra={"host": self.name})
        self._is_slow = why is not None

    def _failed(self, ask: Ask, trouble: _Trouble) -> None:
        source = ask.source
        if trouble.costs_nothing(ask) or not self._is_about_source(ask, trouble):
            return
        now_s = self._clock.monotonic_s()
        after = budgets.failed(self._breaker(source), now_s=now_s, draw=self._draw())
        self._breakers[source] = after
        if not budgets.is_tripped(after):
            return
        if source not in self._why:
            BREAKER_OPEN.labels(source).set(1)
            _logger.warning(
                "source left alone", extra={"source": source, "why": trouble.why}
            )
        self._why[source] = trouble.why

    def _is_about_source(self, ask: Ask, trouble: _Trouble) -> bool:
        # A contract that has not what is asked for says nothing about the source.
        if trouble.outcome == "unusable" and trouble.declined and not trouble.again:
            return False
        if ask.subject is None or budgets.is_tripped(self._breaker(ask.source)):
            return True
        if trouble.failure.cause is Cause.MOVED:
            # No upstream moves for one user alone.
            return True
        # The same subject again tells no more than the first time.
        failing = self._failing.setdefault(ask.source, set())
        known = ask.subject in failing
        failing.add(ask.subject)
        return not known

    def _succeeded(self, source: str) -> None:
        self._failing.pop(source, None)
        self._key_refused.discard(source)
        self._breakers[source] = budgets.succeeded()
        BREAKER_OPEN.labels(source).set(0)
        if self._why.pop(source, None) is not None:
            _logger.warning("source is back", extra={"source": source})


async def _drain(response: httpx.Response) -> None:
    """Read a little of a body that nobody wants, whatever becomes of it."""
    with suppress(httpx.HTTPError, httpx.StreamError, TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            await _skip(response, _DRAINED_BYTES)


async def _skip(response: httpx.Response, most_bytes: int) -> None:
    skipped = 0
    async for chunk in response.aiter_raw():
        skipped += len(chunk)
        if skipped > most_bytes:
            return


class _NoCookies(CookieJar):
    """Keeps no cookie, and does not even read one."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Let what an answer wants to set pass by."""


@asynccontextmanager
async def http_client(
    api_key: str | None = None, *, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """Open the connections to one upstream; with a key, it goes with every request.

    ``transport`` is the way to the other side, if it is not to be the network.
    """
    headers = {
        "accept": "application/json",
        # The codings that are inflated here within a bound; no other is taken.
        "accept-encoding": "gzip, deflate",
        "user-agent": "stacks-feed",
    }
    if api_key:
        headers["x-api-key"] = api_key
    # Kept alive, as many as there may be: a reading with its subnets is a dozen at once.
    # Not more: the pool looks at each of them for each request.
    limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=None)
    async with httpx.AsyncClient(
        headers=headers,
        cookies=_NoCookies(),
        follow_redirects=False,
        limits=limits,
        transport=transport,
        timeout=None,  # noqa: S113 - each request has a limit as a whole
    ) as http:
        yield http
