"""Readings of watched users: when the schedule says so, at most so many at a time."""

import asyncio
import logging
from enum import Enum, auto

from ingest.core.history import past_of
from ingest.core.registry import Registry
from ingest.core.schedule import Reading, Schedule
from ingest.core.silence import SourceKind
from ingest.sources.accounts import SOURCE, AccountDoubtful, Accounts
from ingest.sources.client import SourceDown, UpstreamClient
from ingest.sources.subnets import read_subnet
from ingest.tools import Tools
from ingest.waiting import sleep_or
from ingest.writer import Observed
from runtime.metrics import DOUBTED, WATCHED
from schemas.balances import AccountRead
from schemas.ids import ContractId, UserId
from schemas.topics import BALANCES_RAW

_logger = logging.getLogger("ingest.readings")
# Nothing due: something will say so, and if not, look again then.
_IDLE_S = 60.0


class _Outcome(Enum):
    """What became of the reading of an account."""

    WRITTEN = auto()
    # Not in the log: the next reading, at once, decides.
    DOUBTFUL = auto()
    FAILED = auto()


class Readings:
    """Reads the watched users, one reading a user in flight, and hands them to the log."""

    def __init__(
        self,
        schedule: Schedule,
        *,
        accounts: Accounts,
        client: UpstreamClient,
        registry: Registry,
        tools: Tools,
    ) -> None:
        self._schedule, self._accounts, self._client = schedule, accounts, client
        self._registry, self._writer = registry, tools.writer
        self._clock, self._draw = tools.clock, tools.draw
        self._watch = tools.watch
        self._due = asyncio.Event()
        self._watched: frozenset[UserId] = frozenset()

    def watch(self, users: list[UserId]) -> None:
        """Take the users to read; those new to us are read at once."""
        watched = frozenset(users)
        for user in self._watched - watched:
            # Another instance may read it meanwhile, and write what we would not know.
            self._accounts.forget(user)
        self._watched = watched
        WATCHED.set(len(watched))
        if not watched:
            # Nobody is asked for, so no answer is missing.
            self._watch.release(SourceKind.ACCOUNTS)
            self._watch.release(SourceKind.SUBNETS)
        self._schedule.watch(users, now_s=self._clock.monotonic_s())
        self._due.set()

    def doubt(self, user: UserId) -> None:
        """The log may not hold what was read of this user: write it whole next time."""
        self._accounts.forget(user)

    def doubt_all(self) -> None:
        """The log may not hold what was read of anybody."""
        self._accounts.forget_all()

    def fallback(self) -> str | None:
        """Return which generation of balances is read instead of the chosen one, if any."""
        return self._accounts.fallback()

    def offer_subnets(self) -> None:
        """Take the subnets the registry knows now."""
        subnets = self._registry.subnets()
        self._schedule.offer_subnets(subnets, now_s=self._clock.monotonic_s())
        self._due.set()

    def hold(self, user: UserId, subnet: ContractId) -> None:
        """Note where a user holds something."""
        self._schedule.hold(user, subnet)

    def hint(self, user: UserId) -> None:
        """Read a user soon: something touched the account."""
        self._schedule.hint(user, now_s=self._clock.monotonic_s())
        self._due.set()

    def refresh(self) -> None:
        """Read all users now."""
        self._schedule.refresh(now_s=self._clock.monotonic_s())
        self._due.set()

    async def run(self, *, readers: int) -> None:
        """Read what is due, for ever."""
        slots = asyncio.Semaphore(readers)
        async with asyncio.TaskGroup() as group:
            while True:
                await slots.acquire()
                reading = await self._next()
                if SOURCE in self._client.left_alone():
                    # It may be back: one reading finds out, the others stay due.
                    await self._read(reading, slots)
                else:
                    group.create_task(self._read(reading, slots), name="reading")

    async def _next(self) -> Reading:
        while True:
            alone_s = self._client.left_alone_s(SOURCE)
            if alone_s > 0:
                await sleep_or(self._clock, alone_s, self._due)
                continue
            now_s = self._clock.monotonic_s()
            self._schedule.allow(self._client.planned_rate_s)
            self._client.need(SOURCE, self._schedule.needed_rate_s)
            doubtful = SOURCE in self._client.left_alone()
            take = self._schedule.take_probe if doubtful else self._schedule.take
            reading = take(now_s=now_s)
            if reading is not None:
                return reading
            wait_s = self._schedule.wait_s(now_s=now_s)
            due_s = _IDLE_S if wait_s is None else wait_s
            await sleep_or(self._clock, due_s, self._due)

    async def _read(self, reading: Reading, slots: asyncio.Semaphore) -> None:
        outcome = _Outcome.FAILED
        try:
            async with asyncio.TaskGroup() as group:
                account = group.create_task(self._account(reading), name="account")
                for subnet in reading.subnets:
                    group.create_task(self._subnet(reading.user, subnet), name="subnet")
            outcome = account.result()
        finally:
            now_s, failed = self._clock.monotonic_s(), outcome is _Outcome.FAILED
            self._schedule.done(reading, failed=failed, draw=self._draw(), now_s=now_s)
            if outcome is _Outcome.DOUBTFUL:
                # A node that lagged, or a fork, is soon corrected.
                self._schedule.hint(reading.user, now_s=now_s)
            if reading.user not in self._watched:
                # It left meanwhile: what was learnt of it is for nobody.
                self._accounts.forget(reading.user)
            slots.release()
            self._due.set()

    async def _account(self, reading: Reading) -> "_Outcome":
        try:
            seen = await self._accounts.read(reading.user, full=reading.full)
        except SourceDown as error:
            if error.asked:
                # Each is counted, and a source that gives none is said to be silent.
                _logger.debug("account not read", extra={"why": error.why})
            return _Outcome.FAILED
        if isinstance(seen, AccountDoubtful):
            why = seen.doubts.why.value
            DOUBTED.labels(why).inc()
            _logger.warning("account doubtful, read again", extra={"doubt": why})
            return _Outcome.DOUBTFUL
        whole = isinstance(seen.observation, AccountRead)
        kind = "account" if whole else "confirmed"
        key = reading.user.encode()
        await self._writer.write([Observed(BALANCES_RAW, key, seen.value, kind)])
        if reading.user in self._watched:
            self._accounts.remember(seen)
        return _Outcome.WRITTEN

    async def _subnet(self, user: UserId, subnet: ContractId) -> None:
        """Read one subnet; its failure costs this part alone."""
        base = self._registry.subnets().get(subnet)
        if base is None:
            return
        try:
            seen = await read_subnet(self._client, user, subnet, base)
        except SourceDown as error:
            if error.asked:
                _logger.debug(
                    "subnet not read", extra={"subnet": subnet, "why": error.why}
                )
            if error.declined:
                # It will say the same next time: ask as rarely as where nothing is held.
                self._asked(user, subnet, "0")
            return
        past = past_of(seen)
        await self._writer.write([Observed(past.topic, past.key, past.value, "subnet")])
        self._asked(user, subnet, seen.balance)

    def _asked(self, user: UserId, subnet: ContractId, balance: str) -> None:
        now_s = self._clock.monotonic_s()
        self._schedule.asked(user, subnet, balance=balance, now_s=now_s)
