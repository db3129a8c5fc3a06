"""States to and from the bytes of ``state``.

Each kind of state is written in parts, a record each, so that a change writes little: a
balance and not the account with all its balances. A part's name is ``b""`` for the state
itself.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

from schemas.base import Malformed, canonical, decoder, encode
from schemas.states import (
    AccountState,
    BalanceState,
    MainnetState,
    OwnStanding,
    PriceState,
    ReadingState,
    TokenState,
    TokenWordState,
)
from schemas.states import PriceWord as PriceWordState

from .accounts import Account, Layers, Mainnet, Reading, Standing, Subnet, User
from .prices import PriceWord, TokenPrice
from .tokens import TokenMetadata, TokenWord

Parts = Mapping[bytes, bytes]
ITSELF: Final = b""


class UnreadableState(Exception):
    """A record of ``state`` is not what this program writes: a newer one wrote it."""

    def __init__(self, owner: bytes, *, part: bytes, field: str) -> None:
        name = b":".join(filter(None, (owner, part))).decode(errors="replace")
        super().__init__(f"the state of {name} cannot be read (at {field or 'all'})")
        self.owner, self.part, self.field = owner, part, field


T = TypeVar("T")
_price_state = decoder(PriceState)
_account_state, _balance_state = decoder(AccountState), decoder(BalanceState)
_token_state, _token_word = decoder(TokenState), decoder(TokenWordState)


def _read(decode: Any, parts: Parts, *, owner: bytes, part: bytes) -> Any:
    state = decode(parts[part])
    if isinstance(state, Malformed):
        raise UnreadableState(owner, part=part, field=state.field)
    return state


# ---- prices


def price_of(owner: bytes, parts: Parts) -> TokenPrice:
    """Return the state of a token's price from its record, new if there is none."""
    token = TokenPrice(owner.decode())
    if parts:
        state: PriceState = _read(_price_state, parts, owner=owner, part=ITSELF)
        token.usd, token.version = state.usd, state.version
        for source, word in state.words.items():
            token.add(_price_word(source, word))
    return token


def _price_word(source: str, word: PriceWordState) -> PriceWord:
    return PriceWord(
        *word.moment,
        source=source,
        usd=word.usd,
        number=Decimal(word.usd),
        market=encode(word.market).decode() if word.market else None,
        offset=word.offset,
    )


def price_parts(token: TokenPrice) -> list[tuple[bytes, bytes]]:
    """Return the changed parts of a token's price."""
    words = ",".join(
        [
            f'"{source}":{{"market":{word.market or "null"},'
            f'"moment":[{word.observed_at},{word.sequence}],'
            f'"offset":{word.offset},"usd":"{word.usd}"}}'
            for source, word in token.words.items()
        ]
    )
    text = (
        f'{{"schema":"price.state/1","usd":"{token.usd}","version":{token.version},'
        f'"words":{{{words}}}}}'
    )
    return [(ITSELF, text.encode())]


# ---- balances


def user_of(owner: bytes, parts: Parts) -> User:
    """Return the state of a user from its records, new if there are none."""
    user = User(owner.decode())
    for part in parts:
        if part == ITSELF:
            user.account = _account(
                _read(_account_state, parts, owner=owner, part=part)
            )
        else:
            state = _read(_balance_state, parts, owner=owner, part=part)
            user.layers[part.decode()] = _layers(state)
    return user


def _account(state: AccountState) -> Account:
    return Account(
        state.moment,
        None if state.reading is None else _reading(state.reading),
        state.forgotten,
    )


def _reading(state: ReadingState) -> Reading:
    return Reading(state.source, state.moment, state.sha256, state.offset)


def _layers(state: BalanceState) -> Layers:
    subnets = {
        str(subnet_id): Subnet(part.balance, part.source, part.moment, part.offset)
        for subnet_id, part in state.subnets.items()
    }
    mainnet = None if state.mainnet is None else _mainnet(state.mainnet)
    return Layers(mainnet, subnets, state.version)


def _mainnet(part: MainnetState) -> Mainnet:
    own = None if part.own is None else _standing(part.own)
    return Mainnet(part.balance, part.total_sent, part.total_received, own)


def _standing(state: OwnStanding) -> Standing:
    return Standing(state.moment, state.observed_at, state.offset)


def user_parts(user: User) -> list[tuple[bytes, bytes]]:
    """Return the changed parts of a user: the account, then balances by id."""
    parts = [
        (key.encode(), _balance_bytes(user.layers[key])) for key in sorted(user.touched)
    ]
    if user.account_changed and user.account is not None:
        parts.insert(0, (ITSELF, _account_bytes(user.account)))
    return parts


def _account_bytes(account: Account) -> bytes:
    reading = account.reading
    return canonical(
        {
            "schema": "account.state/1",
            "moment": account.moment[:],
            "reading": reading and {**reading._asdict(), "moment": reading.moment[:]},
            "forgotten": account.forgotten and account.forgotten[:],
        }
    )


def _balance_bytes(layers: Layers) -> bytes:
    return canonical(
        {
            "schema": "balance.state/1",
            "mainnet": layers.mainnet and _mainnet_json(layers.mainnet),
            "subnets": {
                subnet_id: {**part._asdict(), "moment": part.moment[:]}
                for subnet_id, part in layers.subnets.items()
            },
            "version": layers.version,
        }
    )


def _mainnet_json(part: Mainnet) -> dict[str, Any]:
    own = part.own
    return {
        "balance": part.balance,
        "totalSent": part.total_sent,
        "totalReceived": part.total_received,
        "own": own
        and {
            "moment": own.moment[:],
            "observedAt": own.observed_at,
            "offset": own.offset,
        },
    }


# ---- tokens


def token_of(owner: bytes, parts: Parts) -> TokenMetadata:
    """Return the state of a token from its records, new if there are none."""
    token = TokenMetadata(owner.decode())
    for part in parts:
        if part == ITSELF:
            state: TokenState = _read(_token_state, parts, owner=owner, part=part)
            token.published, token.version = state.published, state.version
        else:
            word: TokenWordState = _read(_token_word, parts, owner=owner, part=part)
            fields = word.fields.model_dump(mode="json", by_alias=True)
            token.words[part.decode()] = TokenWord(word.moment, fields, word.offset)
    return token


def token_parts(token: TokenMetadata) -> list[tuple[bytes, bytes]]:
    """Return the changed parts of a token: itself, then words by source."""
    itself = {
        "schema": "token.state/1",
        "published": token.published,
        "version": token.version,
    }
    words = [
        (source.encode(), _token_word_bytes(token.words[source]))
        for source in sorted(token.touched)
    ]
    return [(ITSELF, canonical(itself)), *words]


def _token_word_bytes(word: TokenWord) -> bytes:
    return canonical(
        {
            "schema": "token.word/1",
            "moment": word.moment[:],
            "fields": word.fields,
            "offset": word.offset,
        }
    )
