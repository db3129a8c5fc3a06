"""What goes into one write, and what stays for the next."""

from edge.core.changes import Changes
from edge.core.feed import Piece, fill, said
from edge.core.forms import BASE, Form
from edge.core.outbox import RESET, Outbox
from edge.core.places import NOWHERE
from edge.core.prices import Prices
from edge.core.table import Table
from tests.support.edge_table import CHA, WELSH, Record, price


def prices(*records: Record) -> Prices:
    table = Table()
    changes = Changes(table)
    feed = Prices(table, changes)
    feed.changed(changes.take(records, NOWHERE))
    return feed


def test_a_piece_takes_what_it_has_room_for_and_the_first_always() -> None:
    piece = Piece(limit_bytes=512 + 20)
    assert piece.add(b"v" * 10, b"u" * 10)
    assert not piece.add(b"", b"u")
    assert (piece.voids, piece.updates) == ([b"v" * 10], [b"u" * 10])


def test_only_who_keeps_versions_is_told_what_is_void() -> None:
    feed = prices(price(CHA, "1"))
    void, update = said(feed, CHA, RESET, Form(resume=True), now_ms=0)
    assert b"REMOVED" in void
    assert b"version" in update
    assert said(feed, CHA, 0, Form(resume=True), now_ms=0) == (b"", update)
    assert said(feed, CHA, RESET, BASE, now_ms=0)[0] == b""
    assert said(feed, WELSH, RESET, BASE, now_ms=0) == (b"", b"")


def test_what_has_no_room_goes_first_the_next_time() -> None:
    feed = prices(price(CHA, "1"), price(WELSH, "1"))
    box: Outbox[str] = Outbox()
    for key in (CHA, WELSH):
        box.offer(key, key, 0)
    contents = []
    while not box.is_empty:
        piece = Piece(limit_bytes=600)
        fill(piece, feed, box, BASE, now_ms=0)
        contents.append(piece.updates)
    assert [len(updates) for updates in contents] == [1, 1]
    assert CHA.encode() in contents[0][0]
    assert WELSH.encode() in contents[1][0]
