"""A feed of prices and balances of the Stacks blockchain, as a program wants it.

It keeps itself connected, goes on where it was, and says how fresh what it holds is.
"""

from stacks_feed_client.clock import Clock, SystemClock
from stacks_feed_client.core.status import Counts, Observed, State, Status
from stacks_feed_client.core.values import (
    Balance,
    BalanceKey,
    Price,
    SubnetBalance,
    Token,
    Update,
)
from stacks_feed_client.errors import FeedClosed, FeedError, FeedRefused
from stacks_feed_client.feed import Feed, Subscription
from stacks_feed_client.link import LinkOptions
from stacks_feed_client.opening import Options, connect

__all__ = [
    "Balance",
    "BalanceKey",
    "Clock",
    "Counts",
    "Feed",
    "FeedClosed",
    "FeedError",
    "FeedRefused",
    "LinkOptions",
    "Observed",
    "Options",
    "Price",
    "State",
    "Status",
    "SubnetBalance",
    "Subscription",
    "SystemClock",
    "Token",
    "Update",
    "connect",
]
