"""States to and from the bytes of ``state``.

Each kind of state is written in parts, a record each, so that a change writes little: a
balance and not the account with all its balances. A part's name is ``b""`` for the state
itself.

Every generation of the fold reads what any other has written, and writes its own version
(functions named ``_v1`` are those of generation 1). So a log may change its generation at
any commit.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

from schemas.base import Malformed, canonical, decoder, encode
from schemas.newer import WrittenByNewer
from schemas.states import (
    AccountState,
    BalanceState,
    BalanceStateV1,
    MainnetState,
    OwnStanding,
    PriceState,
    PriceStateV1,
    PriceWord,
    QuoteState,
    ReadingState,
    SubnetState,
    SubnetStateV1,
    SuspectState,
    TokenState,
    TokenWordState,
)

from . import prices_v1
from .accounts import Account, Layers, Mainnet, Reading, Standing, Subnet, User
from .prices import Quote, Suspect, TokenPrice
from .tokens import TokenMetadata, TokenWord

Parts = Mapping[bytes, bytes]
ITSELF: Final = b""


class UnreadableState(WrittenByNewer):
    """A record of ``state`` is not what this program writes: a newer one wrote it."""

    def __init__(self, owner: bytes, *, part: bytes, field: str) -> None:
        name = b":".join(filter(None, (owner, part))).decode(errors="replace")
        super().__init__(
            f"the state of {name} cannot be read (at {field or 'all'}); use the version that "
            "wrote it, or a newer one"
        )
        self.owner, self.part, self.field = owner, part, field


T = TypeVar("T")
_account_state = decoder(AccountState)
_token_state, _token_word = decoder(TokenState), decoder(TokenWordState)


def _decoder_of(newest: Any, before: Any) -> Callable[[bytes], Any]:
    """Return a function that reads bytes as one of two versions of a record."""
    decode_newest, decode_before = decoder(newest), decoder(before)

    def decode(value: bytes) -> Any:
        state = decode_newest(value)
        if not isinstance(state, Malformed):
            return state
        earlier = decode_before(value)
        return state if isinstance(earlier, Malformed) else earlier

    return decode


_price_state = _decoder_of(PriceState, PriceStateV1)
_balance_state = _decoder_of(BalanceState, BalanceStateV1)


def _read(decode: Any, parts: Parts, *, owner: bytes, part: bytes) -> Any:
    state = decode(parts[part])
    if isinstance(state, Malformed):
        raise UnreadableState(owner, part=part, field=state.field)
    return state


# ---- prices


def price_of(owner: bytes, parts: Parts) -> TokenPrice:
    """Return the state of a token's price from its record, new if there is none."""
    token = TokenPrice(owner.decode())
    if not parts:
        return token
    state = _read(_price_state, parts, owner=owner, part=ITSELF)
    token.usd, token.version = state.usd, state.version
    token.number = None if state.usd is None else Decimal(state.usd)
    if isinstance(state, PriceStateV1):
        for source, word in state.words.items():
            token.add(_quote_of_word(source, word))
        # Version 1 has no time of the published value: it was not later than this.
        token.observed_at = token.newest
        return token
    token.observed_at, token.agreed = state.observed_at, state.agreed
    token.reference = None if state.reference is None else Decimal(state.reference)
    token.suspect = None if state.suspect is None else _suspect(state.suspect)
    for source, quote in state.quotes.items():
        token.add(_quote(source, quote))
    return token


def _quote(source: str, state: QuoteState) -> Quote:
    return Quote(
        *state.moment,
        source=source,
        usd=state.usd,
        number=Decimal(state.usd),
        market=encode(state.market).decode() if state.market else None,
        offset=state.offset,
        time=state.time,
        since=state.since,
        changes=state.changes,
    )


def _quote_of_word(source: str, word: PriceWord) -> Quote:
    """Return a word of generation 1 as a quote: its history begins with it."""
    observed_at = word.moment.observed_at
    return Quote(
        *word.moment,
        source=source,
        usd=word.usd,
        number=Decimal(word.usd),
        market=encode(word.market).decode() if word.market else None,
        offset=word.offset,
        time=observed_at,
        since=observed_at,
    )


def _suspect(state: SuspectState) -> Suspect:
    return Suspect(state.source, state.usd, Decimal(state.usd), state.moment)


def price_parts(token: TokenPrice) -> list[tuple[bytes, bytes]]:
    """Return the changed parts of a token's price."""
    quotes = ",".join(
        [
            f'"{source}":{{"changes":{_numbers(quote.changes)},'
            f'"market":{quote.market or "null"},'
            f'"moment":[{quote.observed_at},{quote.sequence}],'
            f'"offset":{quote.offset},"since":{quote.since},"time":{quote.time},'
            f'"usd":"{quote.usd}"}}'
            for source, quote in token.quotes.items()
        ]
    )
    text = (
        f'{{"agreed":{"true" if token.agreed else "false"},'
        f'"observedAt":{token.observed_at},"quotes":{{{quotes}}},'
        f'"reference":{_price_text(token.reference)},"schema":"price.state/2",'
        f'"suspect":{_suspect_text(token.suspect)},'
        f'"usd":{_price_text(token.number)},"version":{token.version}}}'
    )
    return [(ITSELF, text.encode())]


def _numbers(numbers: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, numbers))}]"


def _price_text(number: Decimal | None) -> str:
    return "null" if number is None else f'"{number:f}"'


def _suspect_text(suspect: Suspect | None) -> str:
    if suspect is None:
        return "null"
    observed_at, sequence = suspect.moment
    return (
        f'{{"moment":[{observed_at},{sequence}],"source":"{suspect.source}",'
        f'"usd":"{suspect.usd}"}}'
    )


def price_of_v1(owner: bytes, parts: Parts) -> prices_v1.TokenPrice:
    """Return the state of a token's price as generation 1 of the fold knows it."""
    token = prices_v1.TokenPrice(owner.decode())
    now = price_of(owner, parts)
    token.usd, token.version = now.usd, now.version
    for quote in now.quotes.values():
        token.add(quote)
    return token


def price_parts_v1(token: prices_v1.TokenPrice) -> list[tuple[bytes, bytes]]:
    """Return the changed parts of a token's price as generation 1 of the fold writes them."""
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


def _layers(state: BalanceStateV1 | BalanceState) -> Layers:
    subnets = {
        str(subnet_id): _subnet(part) for subnet_id, part in state.subnets.items()
    }
    mainnet = None if state.mainnet is None else _mainnet(state.mainnet)
    return Layers(mainnet, subnets, state.version)


def _mainnet(part: MainnetState) -> Mainnet:
    own = None if part.own is None else _standing(part.own)
    return Mainnet(part.balance, part.total_sent, part.total_received, own)


def _subnet(part: SubnetStateV1) -> Subnet:
    # Generation 1 published every part that it held.
    held = part.held if isinstance(part, SubnetState) else True
    return Subnet(part.balance, part.source, part.moment, part.offset, held=held)


def _standing(state: OwnStanding) -> Standing:
    return Standing(state.moment, state.observed_at, state.offset)


def user_parts(user: User) -> list[tuple[bytes, bytes | None]]:
    """Return the changed parts of a user: the account, then balances by id."""
    return _user_parts(user, _balance_bytes)


def user_parts_v1(user: User) -> list[tuple[bytes, bytes | None]]:
    """Return the changed parts of a user as generation 1 of the fold writes them."""
    return _user_parts(user, _balance_bytes_v1)


def _user_parts(
    user: User, write: Callable[[Layers], bytes]
) -> list[tuple[bytes, bytes | None]]:
    parts: list[tuple[bytes, bytes | None]] = []
    if user.account_changed and user.account is not None:
        parts.append((ITSELF, _account_bytes(user.account)))
    for key in sorted(user.touched):
        layers = user.layers.get(key)
        parts.append((key.encode(), None if layers is None else write(layers)))
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
            "schema": "balance.state/2",
            "mainnet": layers.mainnet and _mainnet_json(layers.mainnet),
            "subnets": {
                subnet_id: {**part._asdict(), "moment": part.moment[:]}
                for subnet_id, part in layers.subnets.items()
            },
            "version": layers.version,
        }
    )


def _balance_bytes_v1(layers: Layers) -> bytes:
    subnets = {
        subnet_id: {**part._asdict(), "moment": part.moment[:]}
        for subnet_id, part in layers.subnets.items()
    }
    for part in subnets.values():
        del part["held"]
    return canonical(
        {
            "schema": "balance.state/1",
            "mainnet": layers.mainnet and _mainnet_json(layers.mainnet),
            "subnets": subnets,
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
