"""One upstream over HTTP: its budget, its retries, its breakers; values out."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import httpx

from ingest.config import Upstream
from ingest.core import budget as budgets
from ingest.core.backoff import Verdict, delay_s, retry_after_s, verdict
from ingest.core.normalize.body import Unusable
from ingest.sources.moments import MomentSource
from runtime.clock import Clock
from runtime.metrics import (
    BREAKER_OPEN,
    BUDGET_LEFT,
    REQUEST_SECONDS,
    REQUESTS,
    UPSTREAM_REJECTS,
)

_logger = logging.getLogger("ingest.client")
_T = TypeVar("_T")
_CONNECTIONS = 16
_ANSWERED = frozenset({"unusable", Verdict.REFUSED.value})


class SourceDown(Exception):
    """A source gave no reading this time; ask again later. Nothing is to be written.

    ``answered`` tells that it is there and answered something else than was asked for.
    """

    def __init__(self, source: str, *, why: str, answered: bool = False) -> None:
        super().__init__(f"{source}: {why}")
        self.source, self.why, self.answered = source, why, answered


class SourceGone(SourceDown):
    """The endpoint was switched off for good (410): use another generation of it."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. ``path`` starts with a slash and is percent-encoded already."""

    source: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    # Sent as a POST when there is one.
    json: object = None


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
    headers: Mapping[str, str]
    body: bytes


class _Trouble(Exception):
    """One attempt failed; ``again`` tells whether another may help."""

    def __init__(self, why: str, *, outcome: str, again: bool = True) -> None:
        super().__init__(why)
        self.why, self.outcome, self.again = why, outcome, again


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
        self._upstream, self._http = upstream, http
        self._clock, self._moments, self._draw = clock, moments, draw
        self._budget = budgets.full(upstream.limits, now_s=clock.monotonic_s())
        self._breakers: dict[str, budgets.Breaker] = {}
        self._deprecated: set[str] = set()
        self._turn = asyncio.Lock()
        self._slots = asyncio.Semaphore(_CONNECTIONS)

    @property
    def rate_s(self) -> float:
        """Requests a second that the budget allows in the long run."""
        return self._budget.limits.rate_s

    def left_alone(self) -> list[str]:
        """Return the sources whose breaker is open now."""
        now_s = self._clock.monotonic_s()
        return [
            source
            for source, breaker in self._breakers.items()
            if budgets.is_open(breaker, now_s=now_s)
        ]

    async def ask(
        self, ask: Ask, parse: Callable[[bytes], _T | Unusable]
    ) -> Answer[_T]:
        """Send a request until it is answered; ``parse`` says whether it was.

        Raises ``SourceGone`` on 410 and ``SourceDown`` when the attempts are used up,
        when nothing is gained by another, or while the source's breaker is open.
        """
        breaker = self._breakers.get(ask.source, budgets.Breaker())
        if budgets.is_open(breaker, now_s=self._clock.monotonic_s()):
            REQUESTS.labels(ask.source, "breaker").inc()
            raise SourceDown(ask.source, why="left alone after repeated failures")
        try:
            answer = await self._attempts(ask, parse)
        except _Trouble as trouble:
            self._failed(ask.source, trouble)
            answered = trouble.outcome in _ANSWERED
            raise SourceDown(
                ask.source, why=trouble.why, answered=answered
            ) from trouble
        self._breakers[ask.source] = budgets.succeeded()
        BREAKER_OPEN.labels(ask.source).set(0)
        return answer

    async def _attempts(
        self, ask: Ask, parse: Callable[[bytes], _T | Unusable]
    ) -> Answer[_T]:
        for attempt in range(self._upstream.attempts):
            try:
                answer = await self._attempt(ask, parse)
            except _Trouble as trouble:
                REQUESTS.labels(ask.source, trouble.outcome).inc()
                if not trouble.again or attempt + 1 == self._upstream.attempts:
                    raise
                await self._clock.sleep(delay_s(attempt, draw=self._draw()))
            else:
                REQUESTS.labels(
                    ask.source, "unchanged" if answer.said is None else "read"
                ).inc()
                return answer
        raise AssertionError("attempts are at least one")

    async def _attempt(
        self, ask: Ask, parse: Callable[[bytes], _T | Unusable]
    ) -> Answer[_T]:
        # The wait for a connection comes before the request's limit begins.
        async with self._slots:
            await self._spend()
            began_s, observed_at = self._clock.monotonic_s(), self._moments.next_ms()
            raw = await self._send(ask)
        REQUEST_SECONDS.labels(ask.source).observe(self._clock.monotonic_s() - began_s)
        self._learn(ask, raw)
        if self._judge(ask, raw) is Verdict.UNCHANGED:
            return Answer(None, observed_at)
        said = parse(raw.body)
        if isinstance(said, Unusable):
            UPSTREAM_REJECTS.labels(ask.source).inc()
            raise _Trouble(said.why, outcome="unusable", again=said.again)
        return Answer(said, observed_at, raw.headers.get("etag"))

    async def _spend(self) -> None:
        # One at a time, so that who came first goes first.
        async with self._turn:
            while True:
                now_s = self._clock.monotonic_s()
                wait_s = budgets.wait_s(self._budget, now_s=now_s)
                if wait_s <= 0:
                    break
                await self._clock.sleep(wait_s)
            self._budget = budgets.spend(self._budget, now_s=now_s)

    async def _send(self, ask: Ask) -> _Raw:
        request = self._http.build_request(
            "GET" if ask.json is None else "POST",
            self._upstream.url.rstrip("/") + ask.path,
            params=ask.params or None,
            headers=dict(ask.headers),
            json=ask.json,
        )
        try:
            async with asyncio.timeout(self._upstream.timeout_s):
                return await self._receive(request)
        except TimeoutError as error:
            raise _Trouble("no answer in time", outcome="timeout") from error
        except httpx.HTTPError as error:
            why = f"{type(error).__name__}: {error}"
            raise _Trouble(why, outcome="connection") from error

    async def _receive(self, request: httpx.Request) -> _Raw:
        response = await self._http.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > self._upstream.max_body_bytes:
                    raise _Trouble(
                        "the answer is too large", outcome="large", again=False
                    )
            headers = {name.lower(): value for name, value in response.headers.items()}
            return _Raw(response.status_code, headers, bytes(body))
        finally:
            await response.aclose()

    def _learn(self, ask: Ask, raw: _Raw) -> None:
        now_s = self._clock.monotonic_s()
        self._budget = budgets.learn(self._budget, raw.headers, now_s=now_s)
        BUDGET_LEFT.labels(self.name, "minute").set(self._budget.minute)
        if self._budget.month is not None:
            BUDGET_LEFT.labels(self.name, "month").set(self._budget.month)
        warning = raw.headers.get("warning", "")
        if warning.startswith("299") and ask.source not in self._deprecated:
            self._deprecated.add(ask.source)
            _logger.warning(
                "endpoint deprecated", extra={"source": ask.source, "said": warning}
            )

    def _judge(self, ask: Ask, raw: _Raw) -> Verdict:
        """Return READ or UNCHANGED; raise for every answer that is no reading."""
        found = verdict(raw.status)
        match found:
            case Verdict.READ | Verdict.UNCHANGED:
                return found
            case Verdict.GONE:
                REQUESTS.labels(ask.source, "gone").inc()
                raise SourceGone(ask.source, why="switched off (410)")
            case Verdict.LIMITED:
                self._block(raw)
            case Verdict.KEY:
                _logger.error(
                    "key refused", extra={"source": ask.source, "status": raw.status}
                )
            case Verdict.REFUSED | Verdict.AGAIN:
                pass
        again = found in {Verdict.AGAIN, Verdict.LIMITED}
        raise _Trouble(f"status {raw.status}", outcome=found.value, again=again)

    def _block(self, raw: _Raw) -> None:
        for_s = retry_after_s(raw.headers, now_ms=self._clock.now_ms())
        # Up to a tenth more, so that not everybody is back in the same moment.
        for_s *= 1 + self._draw() / 10
        now_s = self._clock.monotonic_s()
        self._budget = budgets.block(self._budget, now_s=now_s, for_s=for_s)
        _logger.warning(
            "host limits us", extra={"host": self.name, "wait_s": round(for_s, 1)}
        )

    def _failed(self, source: str, trouble: _Trouble) -> None:
        now_s = self._clock.monotonic_s()
        before = self._breakers.get(source, budgets.Breaker())
        # A request that was understood and refused says nothing about the source.
        if trouble.outcome == Verdict.REFUSED.value or (
            trouble.outcome == "unusable" and not trouble.again
        ):
            return
        after = budgets.failed(before, now_s=now_s, draw=self._draw())
        self._breakers[source] = after
        if budgets.is_open(after, now_s=now_s) and not budgets.is_open(
            before, now_s=now_s
        ):
            BREAKER_OPEN.labels(source).set(1)
            _logger.warning(
                "source left alone", extra={"source": source, "why": trouble.why}
            )


@asynccontextmanager
async def http_client(api_key: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """Open the connections to one upstream; with a key, it goes with every request."""
    headers = {"accept": "application/json", "user-agent": "stacks-feed"}
    if api_key:
        headers["x-api-key"] = api_key
    # Kept alive, as many as there may be: a reading with its subnets is a dozen at once.
    # Not more: the pool looks at each of them for each request.
    limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=None)
    async with httpx.AsyncClient(headers=headers, timeout=None, limits=limits) as http:  # noqa: S113 - each request has a limit as a whole
        yield http
