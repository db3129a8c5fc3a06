"""Clients of a hub as a test speaks for them: what they say, what they hear."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from edge.core.hub import ClientId, Effects, Hub, Rules, Write
from edge.core.places import Place
from schemas.extras import FEATURES
from schemas.wire import Party
from tests.support.edge_table import NOW_MS, Record, heard, identity, terms

Message = dict[str, Any]


@dataclass
class Speaker:
    """One client of a hub."""

    hub: Hub
    id: ClientId
    party: Party = "prices"

    def connect(self) -> list[Message]:
        effects = self.hub.connect(self.id, self.party, now_ms=NOW_MS)
        return heard(effects.frames)

    def says(self, kind: str, **fields: Any) -> Effects:
        text = json.dumps({"type": kind, **fields})
        return self.hub.receive(self.id, text, now_ms=NOW_MS)

    def asks(self, kind: str, **fields: Any) -> list[Message]:
        return heard(self.says(kind, **fields).frames)

    def hello(self, *features: str) -> Message:
        (welcome,) = self.asks("HELLO", features=features)
        return welcome

    def pull(self) -> list[Message]:
        return heard([self.hub.pull(self.id, now_ms=NOW_MS)])

    def hears(self, writes: Iterable[Write]) -> list[Message]:
        return heard(write.frames for write in writes if self.id in write.clients)


class Desk:
    """A hub that offers everything, fed record by record in one partition."""

    def __init__(self, *records: Record, rules: Rules | None = None) -> None:
        self.hub = Hub(rules or Rules(features=FEATURES))
        self._offset = 0
        self._clients = 0
        said = identity(partitions=1)
        self.put(said, terms(0), *records)

    def put(self, *records: Record, at_ms: int = NOW_MS) -> list[Write]:
        places = []
        for _ in records:
            places.append(Place(0, self._offset, at_ms))
            self._offset += 1
        return self.hub.apply(records, places=places, now_ms=NOW_MS)

    def skip_to(self, offset: int) -> None:
        """Let the next record stand at an offset."""
        self._offset = offset

    def speaker(self, party: Party = "prices", *features: str) -> Speaker:
        """Return a client that has been greeted, and has said ``HELLO`` if it wants any."""
        self._clients += 1
        speaker = Speaker(self.hub, ClientId(self._clients), party)
        speaker.connect()
        if features:
            speaker.hello(*features)
        return speaker
