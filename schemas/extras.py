"""The messages that only a client gets, or sends, which has said ``HELLO``.

A client that never says it sees the base protocol alone (``schemas.wire``): none of these
messages, and in no message a field that stands here. After ``WELCOME`` the messages of
the base protocol keep their types and gain the fields of the features that were granted.

========== ===========================================================================
``ack``    ``SUBSCRIBED`` and ``UNSUBSCRIBED``; ``code`` in every ``ERROR``
``seq``    ``seq`` in every message after ``WELCOME``: 1, 2, 3, … per connection
``resume`` ``version`` in every update; ``cursor`` (see below); ``SUBSCRIBE`` takes
           ``since``; ``REMOVED``
``heartbeat`` ``HEARTBEAT`` every few seconds
``exact``  amounts and prices as decimal strings, and every subnet part
``shutdown`` ``SHUTDOWN`` before the edge closes the connection
========== ===========================================================================

A **cursor** stands in the last message of a write (of updates, of an answer to
``SUBSCRIBE``, or a ``HEARTBEAT``) after which the client has everything there is of all it
is subscribed to; while more waits for it there is none. It is a place in the log, so every
edge understands it. ``SUBSCRIBE`` with ``since`` says: of these ids I have everything up to
there. That is true of ids whose ``SUBSCRIBE`` was answered before the cursor came.

A client keeps of each key the value with the highest **version** and drops what is not
newer; an edge may send a version again, never one that is missing. ``REMOVED`` voids what
the client has of a key: it forgets the key with its version, and takes whatever comes next.
With ``recovered: false`` it forgets all that it has of the ids it asked for, and its
cursor: until the next one comes it has nothing to go on from.

The values that an edge sends unasked on connecting come before ``HELLO`` can be said: they
are of the base protocol, and a client that resumes need not look at them.
"""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from schemas.amounts import Amount, PriceText
from schemas.base import Count, Millis
from schemas.ids import ContractId, UserId
from schemas.wire import Inbound, Outbound, Party, TokenMetadata

Feature = Literal["ack", "seq", "resume", "heartbeat", "exact", "shutdown"]
FEATURES: tuple[Feature, ...] = (
    "ack",
    "seq",
    "resume",
    "heartbeat",
    "exact",
    "shutdown",
)

# Opaque to clients; of letters, digits, ``-``, ``_`` and ``.``, so that it can stand in a
# URL, in a header and in the ``id`` of a server-sent event.
# Some 10 characters a partition.
Cursor = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,16384}$")]

ErrorCode = Literal[
    "bad-format",  # not JSON, or not of the shape its type asks for
    "unknown-type",
    "too-many-ids",  # of one message, or of the connection: those over it are ignored
    # More messages, or bytes of answers, than allowed; said once, then the connection is
    # closed.
    "rate",
    "too-many-errors",
    "refused",  # a refresh without the right to ask for one
]

IgnoredWhy = Literal[
    "invalid",
    "too-many",
    "not-subscribed",
    "subscribed-to-all",  # unsubscribed by name, while the client is subscribed to all
]


class Hello(Inbound):
    """Asks for features; those that are not known are ignored and named as such."""

    type: Literal["HELLO"]
    features: tuple[JsonValue, ...] = ()


class Granted(Outbound):
    """What a message after ``WELCOME`` may have beside its own fields.

    ``seq`` is there with the feature of that name, ``cursor`` with ``resume`` and only
    where the client has everything.
    """

    seq: Count | None = None
    cursor: Cursor | None = None


class Welcome(Granted):
    """Grants features, from the next message on.

    ``log`` names the log that cursors belong to. ``heartbeatMs`` is there with
    ``heartbeat`` alone. Of long lists of features that are not known the rest is not named.
    """

    type: Literal["WELCOME"] = "WELCOME"
    party: Party
    features: tuple[Feature, ...]
    ignored: tuple[str, ...]
    log: str
    heartbeat_ms: Count | None = None
    timestamp: Millis


class Ignored(Outbound):
    """One entry of a list that was not taken, and why; the text is cut at 200 characters."""

    id: str
    why: IgnoredWhy


class Subscribed(Granted):
    """What became of a ``SUBSCRIBE``; stands before the values that answer it.

    ``accepted`` is ``null`` for "all". ``recovered`` is there if the request had ``since``:
    true when only what changed since that cursor follows, false when all values follow
    because completeness could not be proved (``why`` says so). Without ``ack`` it is sent
    only when there was a ``since``, and ``ignored`` is empty. ``ignoredMore`` is there if
    more were ignored than are named.
    """

    type: Literal["SUBSCRIBED"] = "SUBSCRIBED"
    party: Party
    accepted: tuple[str, ...] | None
    ignored: tuple[Ignored, ...] = ()
    ignored_more: Count | None = None
    recovered: bool | None = None
    why: (
        Literal["unreadable", "other-log", "other-timeline", "too-old", "ahead"] | None
    ) = None
    timestamp: Millis


class Unsubscribed(Granted):
    """What became of an ``UNSUBSCRIBE``; nothing follows for the ids ``accepted``.

    ``ignoredMore`` is there if more were ignored than are named.
    """

    type: Literal["UNSUBSCRIBED"] = "UNSUBSCRIBED"
    party: Party
    accepted: tuple[str, ...] | None
    ignored: tuple[Ignored, ...] = ()
    ignored_more: Count | None = None
    timestamp: Millis


class Removed(Granted):
    """What was sent of a key is void; a new value may follow at once.

    Of a balance (with ``userId``): it was withdrawn, because nobody had watched the user for
    long. Of a price: it was withdrawn, or a subnet token has another base, the versions of
    whose price are others.
    """

    type: Literal["REMOVED"] = "REMOVED"
    user_id: UserId | None = None
    contract_id: str
    timestamp: Millis


class NewestObserved(Outbound):
    """When the newest observation of each kind was made; ``null``: never.

    An observation counts whether or not it changed a value, so the moment of ``prices`` is
    that at which a source was last heard, of whichever token.
    """

    prices: Millis | None
    balances: Millis | None
    tokens: Millis | None


class OldPrices(Outbound):
    """Tokens that no source quotes any more, though others are quoted.

    Their last price is served on. ``quotedAt`` has the moment of the newest quote of at most
    50 of them, those dropped last; ``count`` is how many there are.
    """

    count: Count
    quoted_at: dict[ContractId, Millis]


class Heartbeat(Granted):
    """Tells a quiet feed from a dead one, and how old what it says is.

    ``watermarks`` has for each shard the log time up to which everything read is in what
    was sent. The age of what was ``observed`` is ``timestamp`` less its moment. ``stale``
    is true while newer values may exist than those the edge has: the log does not answer
    it, a shard is not processed, or no price was observed for two price intervals.
    ``oldPrices`` are those that stay while others move on, because nobody quotes them.
    """

    type: Literal["HEARTBEAT"] = "HEARTBEAT"
    watermarks: tuple[Millis | None, ...]
    observed: NewestObserved
    stale: bool
    old_prices: OldPrices
    timestamp: Millis


class Shutdown(Granted):
    """The edge closes this connection soon; come back (anywhere) after ``reconnectInMs``."""

    type: Literal["SHUTDOWN"] = "SHUTDOWN"
    reconnect_in_ms: Count
    timestamp: Millis


class ExactPriceUpdate(Outbound):
    """``PRICE_UPDATE`` with ``exact``: the price as the log has it."""

    type: Literal["PRICE_UPDATE"] = "PRICE_UPDATE"
    contract_id: str
    price: PriceText
    timestamp: Millis
    source: Literal["api", "local-dev"]


class ExactSubnet(Outbound):
    """One subnet part of a balance."""

    contract_id: ContractId
    balance: Amount
    formatted_balance: str
    timestamp: Millis


class ExactBalanceUpdate(Outbound):
    """``BALANCE_UPDATE`` with ``exact``: base units and formatted amounts as strings.

    ``balance`` is ``null`` while the mainnet layer was never read; ``subnets`` has every
    part, by contract id. ``metadata`` is that of the base protocol.
    """

    type: Literal["BALANCE_UPDATE"] = "BALANCE_UPDATE"
    user_id: UserId
    contract_id: ContractId
    balance: Amount | None
    total_sent: str | None
    total_received: str | None
    formatted_balance: str | None
    subnets: tuple[ExactSubnet, ...]
    metadata: TokenMetadata
    timestamp: Millis
    source: Literal["hiro-api", "default-zero"]
