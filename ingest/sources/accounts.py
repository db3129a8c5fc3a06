"""Whole accounts from Hiro, in whichever generation of its API answers."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from urllib.parse import quote

from ingest.core.balance_apis import BalanceApis
from ingest.core.normalize.accounts import (
    Account,
    Chosen,
    Doubts,
    Page,
    account_of_pages,
    account_v1,
    doubts,
    page_v2,
    page_v3,
    same_content,
    stx_balance,
)
from ingest.core.normalize.body import MAX_ROWS, Unusable
from ingest.sources.client import (
    Answer,
    Ask,
    SourceDown,
    SourceGone,
    UpstreamClient,
)
from runtime.metrics import BALANCE_API
from schemas.balances import AccountConfirmed, AccountRead
from schemas.base import MAX_RECORD_BYTES, encode
from schemas.ids import Network, UserId

_logger = logging.getLogger("ingest.accounts")
SOURCE = "hiro"
_PATHS = {
    1: "/extended/v1/address/{user}/balances",
    2: "/extended/v2/addresses/{user}/balances",
    3: "/extended/v3/principals/{user}/balances",
}
# The generation whose pages follow one another by a cursor.
_BY_CURSOR = 3
# The largest page they give; and no account has that many pages.
_PAGE_ROWS = 200
_MAX_PAGES = 100
# Ten thousand users of a usual account fit in, a few with hundreds of tokens among them.
_MAX_KEPT_ROWS = 200_000
# A record has a key and headers too.
_MAX_READING_BYTES = MAX_RECORD_BYTES - 16_384
# A doubtful reading is repeated until two say the same of what is in doubt, or so often.
MAX_LOOKS = 3


@dataclass(frozen=True, slots=True)
class Kept:
    """What is remembered of the last whole reading of a user that the log has."""

    generation: int
    account: Account
    reading: str
    read_ms: int
    etag: str | None


@dataclass(frozen=True, slots=True)
class AccountSeen:
    """One reading, ready for the log; ``kept`` becomes true once the log has it.

    ``forgotten`` is how often something had been forgotten when it began.
    """

    user: UserId
    observation: AccountRead | AccountConfirmed
    value: bytes
    kept: Kept
    forgotten: int


@dataclass(frozen=True, slots=True)
class AccountDoubtful:
    """A reading that may be of an older state: not for the log until the next one agrees."""

    user: UserId
    doubts: Doubts
    looks: int = 1


class Accounts:
    """Reads accounts, and knows of each user what was read last.

    A reading that says the same as the last one the log has is a confirmation of it. The
    memory is of this process alone: after a restart a user is read and written whole.
    """

    def __init__(
        self,
        client: UpstreamClient,
        *,
        network: Network,
        chosen: Chosen,
        generation: int,
        rewrite_after_s: float,
        max_kept_rows: int = _MAX_KEPT_ROWS,
    ) -> None:
        self._client, self._network, self._chosen = client, network, chosen
        self._max_kept_rows, self._kept_rows = max_kept_rows, 0
        self._apis = BalanceApis(generation)
        BALANCE_API.set(generation)
        self._rewrite_after_ms = round(rewrite_after_s * 1000)
        self._kept: dict[UserId, Kept] = {}
        self._doubtful: dict[UserId, AccountDoubtful] = {}
        self._forgotten = 0

    async def read(self, user: UserId, *, full: bool) -> AccountSeen | AccountDoubtful:
        """Read a user; with ``full`` do not let the upstream say it is unchanged.

        A doubtful reading should be followed by the next one at once. Raises
        ``SourceDown``: then there is no reading, and nothing is known of the account, least
        of all that it is empty.
        """
        trial = self._trial()
        if trial is not None:
            # Should it fail, the user is read as all others are.
            with suppress(SourceDown):
                return await self._read(user, trial, full=full, is_trial=True)
        told_gone: int | None = None
        while True:
            generation = self.generation
            has_successor = self._apis.has_successor(generation)
            try:
                return await self._read(user, generation, full=full)
            except SourceGone:
                # A single 410 may be a slip: it is asked again, if not for nothing.
                if told_gone == generation or not has_successor:
                    self._note_gone(generation)
                if not has_successor:
                    raise
                told_gone = generation
            except SourceDown as error:
                if self._apis.are_all_gone and error.asked:
                    # Another one may be back, so it is asked next.
                    self._note_gone(generation)
                raise

    @property
    def generation(self) -> int:
        """The generation of the API that is read now."""
        return self._apis.in_use

    def fallback(self) -> str | None:
        """Return which generation is read instead of the chosen one, if one is."""
        chosen, in_use = self._apis.chosen, self._apis.in_use
        if in_use == chosen or self._apis.are_all_gone:
            return None
        return (
            f"v{chosen} of Hiro's balances is gone (410); v{in_use} is read until it "
            f"answers again. If it stays so, set STACKS_FEED_ACCOUNTS_API=v{in_use}"
        )

    def remember(self, seen: AccountSeen) -> None:
        """The log has this reading: later ones may confirm it.

        Not one that began before something was forgotten: it may rest on just that. Nor
        one for which there is no room: then the next is written whole.
        """
        if seen.forgotten != self._forgotten:
            return
        self._drop(seen.user)
        rows = seen.kept.account.rows
        if self._kept_rows + rows <= self._max_kept_rows:
            self._kept[seen.user] = seen.kept
            self._kept_rows += rows

    def forget(self, user: UserId) -> None:
        """Drop what is known of a user: the next reading is written whole."""
        self._drop(user)
        self._doubtful.pop(user, None)
        self._forgotten += 1

    def forget_all(self) -> None:
        """Drop what is known of all users."""
        self._kept.clear()
        self._kept_rows = 0
        self._doubtful.clear()
        self._forgotten += 1

    def _drop(self, user: UserId) -> None:
        dropped = self._kept.pop(user, None)
        self._kept_rows -= dropped.account.rows if dropped else 0

    def _trial(self) -> int | None:
        """Return a generation to try again instead of the one in use, if one is due."""
        if self._client.left_alone_s(SOURCE) > 0:
            return None
        return self._apis.take_trial(now_s=self._client.monotonic_s())

    def _note_gone(self, generation: int) -> None:
        takes_over = self._apis.note_gone(generation, now_s=self._client.monotonic_s())
        BALANCE_API.set(self.generation)
        if takes_over:
            _logger.warning(
                "balance API switched off, using the next generation",
                extra={"gone": generation, "next": self.generation},
            )

    def _note_answer(self, generation: int) -> None:
        if self._apis.note_answer(generation, now_s=self._client.monotonic_s()):
            BALANCE_API.set(self.generation)
            _logger.warning(
                "balance API answers again",
                extra={"back": generation, "in_use": self.generation},
            )

    async def _read(
        self, user: UserId, generation: int, *, full: bool, is_trial: bool = False
    ) -> AccountSeen | AccountDoubtful:
        before, forgotten = self._kept.get(user), self._forgotten
        # What another generation said is no reading to confirm, but one to doubt by.
        kept = before if before and before.generation == generation else None
        ask = self._ask(user, generation, is_trial=is_trial)
        if generation == 1:
            etag = kept.etag if kept and not full else None
            answer = await self._v1(ask, etag)
        else:
            answer = await self._paged(ask, generation)
        self._note_answer(generation)
        doubtful = self._doubted(user, answer.said, before)
        if doubtful is not None:
            self._client.confirm(SOURCE)
            return doubtful
        seen = self._seen(user, answer, kept, generation)
        # Only now there is a reading: until here its requests were parts of one.
        self._client.confirm(SOURCE)
        return replace(seen, forgotten=forgotten)

    def _ask(self, user: UserId, generation: int, *, is_trial: bool) -> Ask:
        """Return the request for a user's balances that all others are made of."""
        return Ask(
            SOURCE,
            _PATHS[generation].format(user=quote(user)),
            subject=user,
            is_part=True,
            has_successor=self._apis.has_successor(generation),
            may_be_missing=generation != self._apis.chosen,
            is_trial=is_trial,
        )

    async def _v1(self, ask: Ask, etag: str | None) -> Answer[Account]:
        headers = {"if-none-match": etag} if etag else {}
        parse = partial(account_v1, network=self._network, chosen=self._chosen)
        params = {"unanchored": "true"}
        return await self._client.ask(
            replace(ask, params=params, headers=headers), parse
        )

    async def _paged(self, ask: Ask, generation: int) -> Answer[Account]:
        """Read STX and every page: a whole account or none."""
        first = replace(ask, path=f"{ask.path}/stx")
        stx = await self._client.ask(first, stx_balance)
        pages = await self._pages(replace(ask, path=f"{ask.path}/ft"), generation)
        put_together = partial(
            account_of_pages,
            stx.said or "",
            pages,
            network=self._network,
            chosen=self._chosen,
        )
        return Answer(self._client.derived(ask, put_together), stx.observed_at)

    async def _pages(self, ask: Ask, generation: int) -> list[Page]:
        pages: list[Page] = []
        rows, cursor = 0, None
        parse: Callable[[bytes], Page | Unusable] = (
            page_v2 if generation == 2 else page_v3  # noqa: PLR2004 - a generation
        )
        while len(pages) < _MAX_PAGES:
            where = {"cursor": cursor} if cursor else {"offset": str(rows)}
            if generation == _BY_CURSOR and not cursor:
                where = {}
            params = {"limit": str(_PAGE_ROWS), **where}
            asked = replace(ask, params=params)
            page = (await self._client.ask(asked, parse)).said
            if page is None:
                break
            pages.append(page)
            rows, cursor = rows + len(page.rows), page.next_cursor
            more = cursor if generation == _BY_CURSOR else rows < page.total
            if not (more and page.rows) or rows > MAX_ROWS:
                break
        return pages

    def _seen(
        self, user: UserId, answer: Answer[Account], kept: Kept | None, generation: int
    ) -> AccountSeen:
        account = answer.said
        if account is None:
            if kept is None:
                why = "unchanged, but nothing was known"
                raise self._client.reject(SOURCE, why, subject=user)
            return self._confirmed(user, kept, answer)
        young = kept and answer.observed_at - kept.read_ms < self._rewrite_after_ms
        if kept and young and same_content(kept.account, account):
            return self._confirmed(user, kept, answer)
        return self._whole(user, account, answer, generation)

    def _doubted(
        self, user: UserId, account: Account | None, kept: Kept | None
    ) -> AccountDoubtful | None:
        """Return the reading if it needs another look; remembers it for the next one."""
        before = self._doubtful.pop(user, None)
        found = doubts(kept.account, account) if kept and account else None
        if found is None:
            return None
        looks = before.looks + 1 if before else 1
        if before and (looks >= MAX_LOOKS or found.repeats(before.doubts)):
            _logger.info(
                "doubtful account confirmed",
                extra={"doubt": found.why.value, "looks": looks},
            )
            return None
        self._doubtful[user] = AccountDoubtful(user, found, looks)
        return self._doubtful[user]

    def _confirmed(
        self, user: UserId, kept: Kept, answer: Answer[Account]
    ) -> AccountSeen:
        seen = AccountConfirmed(
            user_id=user,
            source=SOURCE,
            observed_at=answer.observed_at,
            reading=kept.reading,
        )
        etag = answer.etag or kept.etag
        still = Kept(kept.generation, kept.account, kept.reading, kept.read_ms, etag)
        return AccountSeen(user, seen, encode(seen), still, self._forgotten)

    def _whole(
        self, user: UserId, account: Account, answer: Answer[Account], generation: int
    ) -> AccountSeen:
        seen = AccountRead(
            user_id=user,
            source=SOURCE,
            observed_at=answer.observed_at,
            holdings=account.holdings,
            others=account.others,
        )
        value = encode(seen)
        if len(value) > _MAX_READING_BYTES:
            why = "the account is larger than a record may be"
            raise self._client.reject(SOURCE, why, subject=user)
        reading = sha256(value).hexdigest()
        kept = Kept(generation, account, reading, answer.observed_at, answer.etag)
        return AccountSeen(user, seen, value, kept, self._forgotten)
