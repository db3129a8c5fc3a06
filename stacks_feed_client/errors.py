"""What a feed raises, by what can be done about it."""

from stacks_feed_client.core.itinerary import shown


class FeedError(Exception):
    """Any of these."""


class FeedRefused(FeedError):
    """No server will serve us; coming back would be no better.

    The request is wrong (an address, a token, far too many ids) and must be changed. Of
    several addresses every one refused; this is the last of them.
    ``url`` is the whole address, which may hold a secret; the text leaves that out.
    """

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"{shown(url)} refused: {why}")
        self.url, self.why = url, why


class FeedClosed(FeedError):
    """The feed was closed by us: its context was left."""

    def __init__(self) -> None:
        super().__init__("the feed is closed")
