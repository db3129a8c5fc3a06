"""How far a client is, so that the next connection can go on from there."""

from dataclasses import dataclass

from stacks_feed_client.core.ids import NOTHING


@dataclass(slots=True)
class Standing:
    """What outlives a connection, beside the values.

    Of the ids in ``covered`` the client has everything up to ``cursor``. Those in
    ``complete`` were answered wholly at least once, by whatever connection.
    """

    wanted: frozenset[str] = NOTHING
    cursor: str | None = None
    covered: frozenset[str] = NOTHING
    complete: frozenset[str] = NOTHING

    def want(self, wanted: frozenset[str]) -> None:
        """Change what is wanted; what is not any more is not gone on from either."""
        self.wanted = wanted
        self.covered &= wanted
        self.complete &= wanted

    def void(self, members: frozenset[str]) -> None:
        """Give up the cursor for these ids."""
        self.covered -= members

    def advance(self, cursor: str, covered: frozenset[str]) -> frozenset[str] | None:
        """Take a cursor that covers ``covered``, unless the one held covers more ids.

        One that covers nothing yet, early in a connection, must not replace one that can
        be gone on from. Returns what it covers, ``None`` if it was not taken.
        """
        covered &= self.wanted
        if not (covered and self.covered <= covered):
            return None
        self.cursor, self.covered = cursor, covered
        return covered

    def renew(self, cursor: str, covered: frozenset[str] | None) -> bool:
        """Take a later cursor of what ``advance`` returned, if nothing changed since.

        Cursors come with most messages, and sets of thousands of ids take long to compare.
        """
        if covered is not self.covered:
            return False
        self.cursor = cursor
        return True
