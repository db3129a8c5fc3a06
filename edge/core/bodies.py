"""What GET answers, and the tag of it."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

from edge.core.balances import Balances
from edge.core.cursor import Cursor, Refusal, cursor_of, log_name
from edge.core.derived import base_of
from edge.core.etags import etag
from edge.core.forms import BASE
from edge.core.messages import body_head, body_tail, since_tail
from edge.core.outbox import RESET
from edge.core.packed import Packed
from edge.core.places import Places
from edge.core.prices import Prices
from edge.core.snapshots import contract_of, network_of
from edge.core.table import PRICE, Table
from schemas.ids import UserId
from schemas.wire import Party

# Up to so many changed values, or up to a quarter of all if that is more, are told alone.
_FEW, _PART_OF_ALL = 100, 4
# Some milliseconds of work.
_ROWS_A_TURN = 2_000
_Key = TypeVar("_Key", bound=tuple[str, str])


class Body(NamedTuple):
    """An answer in two parts: ``head`` is that of many answers, ``tail`` of this alone."""

    head: Packed
    tail: bytes

    @property
    def json(self) -> bytes:
        """The answer as it is."""
        return b"".join(self.pieces())

    @property
    def size_bytes(self) -> int:
        """How long the answer is as it is."""
        return len(self.head.head) + len(self.tail)

    def pieces(self, *, gzip: bool = False) -> tuple[bytes, bytes]:
        """Return the answer in two pieces, the first of which many answers share."""
        if gzip:
            return self.head.gzip_pieces(self.tail)
        return self.head.head, self.tail


class Everything(NamedTuple):
    """An answer with everything, and how far the table was before it was made."""

    head: Packed
    cursor: str | None


class Asked(NamedTuple):
    """A resource or a part of it: the ids in normal form, as asked; ``None`` is all."""

    party: Party
    ids: tuple[str, ...] | None

    @property
    def users(self) -> frozenset[UserId]:
        """The users that were named."""
        named = self.ids if self.party == "balances" else None
        return frozenset(map(UserId, named or ()))


class Bodies:
    """Makes the answers to GET out of the table.

    That to a whole resource is made once for all who ask until it is another one.
    """

    def __init__(self, table: Table, prices: Prices, balances: Balances) -> None:
        self._table, self._prices, self._balances = table, prices, balances
        self._kept: dict[Party, tuple[str, Packed]] = {}
        self._kept_tag: tuple[int, int, str] | None = None

    def asked(self, party: Party, written: Iterable[str] | None) -> Asked:
        """Read ids as written; ``None`` is all. Invalid ones are left out."""
        if written is None:
            return Asked(party, None)
        feed = self._prices if party == "prices" else self._balances
        return Asked(party, tuple(feed.accepted(written, network_of(self._table))))

    def tag(self, asked: Asked) -> str | None:
        """Return what is another text whenever the answer is.

        ``None`` of an unnamed log, and while the terms of a partition are not known: its
        records may be others after the log was restored, and no text would tell.

        The time it is told in does not count, nor that of zeros for what is not held. Of
        prices it is another only when the answer is, or when a term was dropped for its
        age; of balances also when a token that an answer may name is another one, or has
        another price.
        """
        table = self._table
        if table.identity is None or not table.terms.keys() >= table.positions.keys():
            return None
        if asked == ("prices", None):
            return self._tag_of_prices()
        return self._made(self._sources(asked))

    def body(self, asked: Asked, *, now_ms: int) -> Body:
        """Return the answer to a request for what stands in the table now."""
        return Body(self._head(asked, now_ms), body_tail(asked.party, now_ms=now_ms))

    def shares(self, asked: Asked) -> list[Asked]:
        """Return the parts in which a long answer is to be made, one in each turn.

        One part, the whole, of an answer that is short or that is made already.
        """
        tag = self.tag(asked)
        kept = self._kept.get(asked.party) if asked.ids is None else None
        if asked.party == "prices" or (kept is not None and kept[0] == tag):
            return [asked]
        users = self._balances.users() if asked.ids is None else asked.ids
        # A user asked for by name gets a row for each token, any other one for each held.
        at_once = max(1, _ROWS_A_TURN // max(1, len(self._table.tokens)))
        if len(users) <= at_once:
            return [asked]
        starts = range(0, len(users), at_once)
        return [asked._replace(ids=users[at : at + at_once]) for at in starts]

    def rows(self, asked: Asked, share: Asked, *, now_ms: int) -> list[bytes]:
        """Return the rows of a share, as they stand in the whole answer."""
        users = map(UserId, share.ids or ())
        zeros = asked.ids is not None
        return self._balances.everything(users, zeros=zeros, now_ms=now_ms)

    def joined(
        self, asked: Asked, rows: Sequence[bytes], tag: str | None, *, now_ms: int
    ) -> Body:
        """Return the answer that consists of the rows of all shares.

        ``tag`` is that of the moment before the first was made. The table may have changed
        since: then rows are newer than the tag says, which costs a client that asks again
        an answer, and never a value.
        """
        head = Packed(body_head(asked.party, rows))
        if asked.ids is None and tag is not None:
            self._kept[asked.party] = tag, head
        return Body(head, body_tail(asked.party, now_ms=now_ms))

    def since(
        self,
        asked: Asked,
        cursor: Cursor,
        why: Refusal | None,
        *,
        now_ms: int,
        everything: Everything | None = None,
    ) -> Body:
        """Return the answer to a request for what changed since a cursor.

        With ``why`` that cannot be told: then it is everything. ``everything`` is that
        answer, where it took several turns to make.
        """
        removed: list[bytes] = []
        at = everything.cursor if everything else self._cursor()
        if self.tells_everything(asked, cursor, why):
            head = everything.head if everything else self._head(asked, now_ms)
            removed = [] if why else self._withdrawn(cursor, now_ms)
        else:
            updates = []
            for void, update in self._new(asked, cursor, now_ms):
                removed += [void] if void else []
                updates += [update] if update else []
            head = Packed(body_head(asked.party, updates))
        tail = since_tail(
            asked.party,
            removed,
            cursor=at,
            why=why.value if why else None,
            now_ms=now_ms,
        )
        return Body(head, tail)

    def tells_everything(
        self, asked: Asked, cursor: Cursor, why: Refusal | None
    ) -> bool:
        """Tell whether a request for what changed is answered with everything."""
        return why is not None or self._is_most(asked, cursor)

    def _cursor(self) -> str | None:
        at = cursor_of(self._table)
        return at.text() if at else None

    def _is_most(self, asked: Asked, cursor: Cursor) -> bool:
        """Tell whether so many balances changed that all are as well told.

        Each answer to what changed is made for one client alone. A position that was never
        handed out must not have the whole table made anew for everybody who makes one up.
        """
        if asked != ("balances", None):
            return False
        places = self._table.balance_places
        few = max(_FEW, places.values // _PART_OF_ALL)
        return sum(1 for _ in islice(places.new(cursor.by_partition), few + 1)) > few

    def _withdrawn(self, cursor: Cursor, now_ms: int) -> list[bytes]:
        gone = self._table.balance_places.gone(cursor.by_partition)
        return [self._balances.removed(held, now_ms=now_ms) for held in gone]

    def _new(
        self, asked: Asked, cursor: Cursor, now_ms: int
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield what may have changed: how a void value is named, and the new one."""
        positions = cursor.by_partition
        ids: Sequence[str] | None = asked.ids
        if asked.party == "prices":
            for each, flags in self._prices.since(positions, ids):
                void = self._prices.removed(each, now_ms=now_ms)
                update = self._prices.update(each, flags, BASE, now_ms=now_ms)
                yield void if flags & RESET else b"", update
            return
        for held, flags in self._balances.since(positions, ids):
            void = self._balances.removed(held, now_ms=now_ms)
            update = self._balances.update(held, flags, BASE, now_ms=now_ms)
            yield void if flags & RESET else b"", update

    def _head(self, asked: Asked, now_ms: int) -> Packed:
        if asked.ids is not None:
            return Packed(body_head(asked.party, self._updates(asked, now_ms)))
        tag = self.tag(asked)
        kept = self._kept.get(asked.party)
        if tag is None or kept is None or kept[0] != tag:
            head = Packed(body_head(asked.party, self._updates(asked, now_ms)))
            kept = self._kept[asked.party] = (tag or "", head)
        return kept[1]

    def _updates(self, asked: Asked, now_ms: int) -> list[bytes]:
        party, ids = asked
        if party == "prices":
            if ids is None:
                return self._prices.everything()
            made = (self._prices.update(each, 0, BASE, now_ms=now_ms) for each in ids)
            return [update for update in made if update]
        users = self._balances.users() if ids is None else map(UserId, ids)
        zeros = ids is not None
        return self._balances.everything(users, zeros=zeros, now_ms=now_ms)

    # ---- what an answer is made of

    def _tag_of_prices(self) -> str:
        """Return the tag of all prices, found anew only when the registry is another."""
        registry, terms = (
            self._table.registry_places.fingerprint,
            self._table.terms_read,
        )
        if self._kept_tag is None or self._kept_tag[:2] != (registry, terms):
            made = self._made(self._sources(Asked("prices", None)))
            self._kept_tag = registry, terms, made
        return self._kept_tag[2]

    def _made(self, sources: Iterable[str]) -> str:
        identity = self._table.identity
        return etag(log_name(identity) if identity else "", sources)

    def _sources(self, asked: Asked) -> Iterator[str]:
        table, ids = self._table, asked.ids
        if asked.party == "prices":
            yield "prices"
            yield from self._priced(self._prices.spellings() if ids is None else ids)
            return
        yield f"balances {self._all_of(table.registry_places)}"
        if ids is None:
            yield self._all_of(table.balance_places)
        for user in ids or ():
            yield user
            held = sorted(table.balances.get(UserId(user), ()))
            for contract in held:
                at = self._at(table.balance_places, (UserId(user), contract))
                yield f"{contract} {at}"

    def _priced(self, ids: Iterable[str]) -> Iterator[str]:
        """Yield, of those that have a price, the id and the record it has it from."""
        table = self._table
        for each in ids:
            base = base_of(contract_of(each), table.tokens)
            if base is not None and base in table.prices:
                at = self._at(table.registry_places, (base, PRICE))
                yield f"{each} {base} {at}"

    def _at(self, places: Places[_Key], key: _Key) -> str:
        """Name the record of a key that has a value."""
        offset = places.offset_of(key)
        assert offset is not None, "only keys with a value are asked for"  # noqa: S101
        term = self._table.record_term(places.partition_of(key[0]), offset)
        return f"{offset} {term}"

    def _all_of(self, places: Places[_Key]) -> str:
        """Name all records that hold a value now.

        In two logs in which the newest record of each partition is of the same term, all
        before it are the same.
        """
        terms = (self._table.record_term(*place) or "" for place in places.newest())
        return f"{places.fingerprint:x} {' '.join(terms)}"
