"""Which message may be said on which party, and what is answered to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import BaseModel

from app.api.texts import EXAMPLES, Said
from schemas import extras, granted, wire
from schemas.wire import Party

Model: TypeAlias = type[BaseModel]
Exchange: TypeAlias = tuple[str, Model, Sequence[Model]]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The messages of one party.

    ``told`` comes unasked, ``granted_told`` to clients after ``WELCOME``. An exchange is a
    verb, what a client says and what may answer it.
    """

    what: str
    aliases: str
    greeting: Sequence[Model]
    told: Sequence[Model]
    granted_told: Sequence[Model]
    exchanges: Sequence[Exchange]

    @property
    def every(self) -> list[Said]:
        """Every message, each once, with its example."""
        models = [*self.greeting, *self.told, *self.granted_told]
        for _, asked, answers in self.exchanges:
            models += [asked, *answers]
        return [Said(each, EXAMPLES.get(each)) for each in dict.fromkeys(models)]


def _exchanges(base: Sequence[Model], later: Sequence[Model]) -> Sequence[Exchange]:
    """Return what can be said; ``base`` and ``later`` are the values that answer it."""
    return (
        ("subscribe", wire.Subscribe, base),
        (
            "subscribeAfterWelcome",
            granted.ResumingSubscribe,
            (extras.Subscribed, *later, extras.Removed),
        ),
        ("unsubscribe", wire.Unsubscribe, (extras.Unsubscribed,)),
        ("ping", wire.Ping, (wire.Pong, granted.GrantedPong)),
        ("refresh", wire.ManualUpdate, ()),
        ("hello", extras.Hello, (extras.Welcome, wire.Error, granted.GrantedError)),
    )


_ALWAYS = (extras.Removed, extras.Heartbeat, extras.Shutdown, granted.GrantedError)
_PRICES = (granted.GrantedPriceUpdate, granted.GrantedExactPriceUpdate)
_BALANCES = (
    granted.GrantedBalanceUpdate,
    granted.GrantedExactBalanceUpdate,
    granted.GrantedBalanceBatch,
)

PARTIES: Mapping[Party, Vocabulary] = {
    "prices": Vocabulary(
        what="The price of every token in US dollars.",
        aliases="`/prices`, `/parties/main/{room}` and `/party/{room}`",
        greeting=(wire.ServerInfo, wire.PriceBatch),
        told=(wire.PriceUpdate, wire.Error),
        granted_told=(*_PRICES, *_ALWAYS),
        exchanges=_exchanges(
            (wire.PriceUpdate, wire.PriceBatch), (*_PRICES, granted.GrantedPriceBatch)
        ),
    ),
    "balances": Vocabulary(
        what="The balances of the users that are named: mainnet and subnet together.",
        aliases="`/balances`",
        greeting=(wire.ServerInfo,),
        told=(wire.BalanceUpdate, wire.BalanceBatch, wire.Error),
        granted_told=(*_BALANCES, *_ALWAYS),
        exchanges=_exchanges((wire.BalanceBatch,), _BALANCES),
    ),
}
