"""A stream of server-sent events, byte for byte.

The scenario is held to ``golden/edge_sse.txt``: what a reader gets stands there as it is
sent, behind a line each for what it asked, and (``+``) for what changed in the table.
"""

from collections.abc import Iterable
from pathlib import Path

from edge.core.events import COMMENT, retry
from edge.core.forms import EVENTS
from edge.core.hub import ClientId
from edge.core.session import Subscribe
from schemas.ids import STX
from schemas.wire import Party
from tests.support.edge_clients import Desk
from tests.support.edge_table import (
    ANNE,
    CHA,
    NOW_MS,
    WELSH,
    Record,
    balance,
    gone,
    price,
    token,
)

_GOLDEN = Path(__file__).parent / "golden" / "edge_sse.txt"


class Transcript:
    """A hub, readers of it, and every byte that they get."""

    def __init__(self, *records: Record) -> None:
        self._desk = Desk(*records)
        self.text = ""
        self._readers = 0

    def open(
        self, party: Party, ids: tuple[str, ...] | None, since: str | None
    ) -> ClientId:
        self._readers += 1
        reader, hub = ClientId(self._readers), self._desk.hub
        self.text += f"== {reader} opens {party} {ids} since {since}\n"
        greeting = hub.connect(reader, party, form=EVENTS, now_ms=NOW_MS)
        effects = hub.handle(reader, Subscribe(ids, since=since), now_ms=NOW_MS)
        first = [retry(draw=0.25), *greeting.frames]
        self._got(reader, [*first, *effects.frames])
        return reader

    def hold(self, reader: ClientId) -> None:
        self.text += f"== {reader} takes no more\n"
        self._desk.hub.hold(reader)

    def pull(self, reader: ClientId) -> None:
        self.text += f"== {reader} reads on\n"
        self._got(reader, [self._desk.hub.pull(reader, now_ms=NOW_MS)])

    def change(self, *records: Record) -> None:
        for key, value in records:
            self.text += f"+ {key.decode()}{'' if value else ' withdrawn'}\n"
        for write in self._desk.put(*records):
            for client in write.clients:
                self._got(client, [write.frames])

    def nothing(self) -> None:
        self.text += "== nothing happens\n" + COMMENT.decode()

    @property
    def cursor(self) -> str | None:
        return self._desk.hub.cursor()

    def _got(self, reader: ClientId, frames: Iterable[bytes]) -> None:
        self.text += f"== {reader} gets\n{b''.join(frames).decode()}"


def scenario() -> str:
    seen = Transcript(price(STX, "0.63"), price(CHA, "0.4684"))
    every = seen.open("prices", None, None)
    seen.open("prices", (CHA, "stx", "no id"), None)
    before = seen.cursor
    seen.change(price(STX, "0.64", version=2))
    seen.nothing()
    seen.hold(every)
    seen.change(price(STX, "0.65", version=3), price(WELSH, "2"))
    seen.change(price(STX, "0.66", version=4), gone(price(CHA, "1")))
    seen.pull(every)
    seen.open("prices", (CHA, "stx"), before)
    seen.open("prices", (WELSH,), "nonsense")
    seen.change(token(WELSH, name="Welsh", decimals=0), balance(ANNE, WELSH, 3))
    seen.open("balances", None, None)
    seen.change(balance(ANNE, WELSH, 4, version=2))
    seen.open("balances", (), None)
    return seen.text


def test_a_reader_of_events_gets_exactly_these_bytes() -> None:
    assert scenario() == _GOLDEN.read_text("utf-8")
