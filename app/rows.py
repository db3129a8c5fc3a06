"""What `tail` shows of a published value: one row, values in units a person reads."""

from decimal import Decimal
from typing import NamedTuple

from schemas.amounts import exact_text
from schemas.balances import Balance
from schemas.base import Malformed
from schemas.ids import ContractId
from schemas.latest import Latest, decode_latest
from schemas.log import LogIdentity, Observed, Terms, Unquoted, Watermark
from schemas.prices import Price
from schemas.tokens import Token

_PERCENT = Decimal(100)


class Row(NamedTuple):
    """One published value in words; ``change`` is in percent, if there was one."""

    time_ms: int
    kind: str
    name: str
    value: str
    change: Decimal | None
    version: int | None


class Rows:
    """Turns records into rows; remembers tokens and prices to name and compare by."""

    def __init__(self) -> None:
        self._symbols: dict[ContractId, str] = {}
        self._decimals: dict[ContractId, int] = {}
        self._prices: dict[ContractId, Decimal] = {}

    def learn(self, key: bytes, value: bytes | None) -> None:
        """Take in what a record says of tokens and prices, without showing it."""
        if value is None or not key.startswith((b"token:", b"price:")):
            return
        said = decode_latest(key, value)
        if not isinstance(said, Malformed):
            self._row(said, 0)

    def row(self, key: bytes, value: bytes | None, *, time_ms: int) -> Row:
        """Return the row of one record; takes in what it says of tokens and prices."""
        kind, _, rest = key.decode(errors="replace").partition(":")
        if value is None:
            return Row(time_ms, kind, _clean(rest), "(withdrawn)", None, None)
        said = decode_latest(key, value)
        if isinstance(said, Malformed):
            return Row(
                time_ms, kind, _clean(rest), f"(unreadable: {said.field})", None, None
            )
        return self._row(said, time_ms)

    def _row(self, said: Latest, time_ms: int) -> Row:
        match said:
            case Price():
                name = self._name(said.contract_id)
                change = self._change(said.contract_id, Decimal(said.usd))
                return Row(
                    time_ms, "price", name, f"{said.usd} USD", change, said.version
                )
            case Token():
                return self._token_row(said, time_ms)
            case Balance():
                name = f"{said.user_id} {self._name(said.contract_id)}"
                return Row(
                    time_ms, "balance", name, self._amounts(said), None, said.version
                )
            case Watermark() | Observed() | Unquoted() | Terms():
                return _shard_row(said, time_ms)
            case LogIdentity():
                value = f"{said.world.value} world on {said.network.value}"
                return Row(time_ms, "log", said.id, value, None, None)

    def _token_row(self, token: Token, time_ms: int) -> Row:
        fields = token.fields
        if fields.symbol:
            self._symbols[token.contract_id] = _clean(fields.symbol)[:16]
        if fields.decimals is not None:
            self._decimals[token.contract_id] = fields.decimals
        decimals = "?" if fields.decimals is None else fields.decimals
        value = f"{decimals} decimals" + (", subnet" if fields.type == "SUBNET" else "")
        name = self._name(token.contract_id)
        return Row(time_ms, "token", name, value, None, token.version)

    def _name(self, contract: ContractId) -> str:
        """Return symbol and contract: symbols are not unique and may lie."""
        symbol = self._symbols.get(contract)
        return f"{symbol} {contract}" if symbol else str(contract)

    def _change(self, contract: ContractId, usd: Decimal) -> Decimal | None:
        before = self._prices.get(contract)
        self._prices[contract] = usd
        if before is None or before == usd:
            return None
        return (usd - before) / before * _PERCENT

    def _amounts(self, balance: Balance) -> str:
        parts = [balance.mainnet.balance if balance.mainnet else None]
        decimals = self._decimals.get(balance.contract_id)
        symbol = self._symbols.get(balance.contract_id)
        own = [
            _amount(part, decimals, symbol=symbol) for part in parts if part is not None
        ]
        subnets = [
            f"{_amount(part.balance, self._decimals.get(subnet, decimals), symbol=symbol)} in subnet"
            for subnet, part in balance.subnets.items()
        ]
        return " + ".join([*own, *subnets]) or "0"


def _amount(amount: str, decimals: int | None, *, symbol: str | None) -> str:
    if decimals is None:
        return f"{amount} units"
    text = exact_text(int(amount), decimals)
    return f"{text} {symbol}" if symbol else text


def _shard_row(record: Watermark | Observed | Unquoted | Terms, time_ms: int) -> Row:
    name = f"shard {record.shard}"
    match record:
        case Watermark():
            read_to = f"read to {record.log_time}"
            return Row(time_ms, "watermark", name, read_to, None, None)
        case Observed():
            return Row(time_ms, "observed", name, _newest(record), None, None)
        case Unquoted():
            tokens = f"tokens that no source quotes: {record.count}"
            return Row(time_ms, "unquoted", name, tokens, None, None)
        case Terms():
            term = f"term {record.terms[-1].id} from {record.terms[-1].start}"
            return Row(time_ms, "terms", name, term, None, None)


def _newest(observed: Observed) -> str:
    times = {
        "prices": observed.prices,
        "balances": observed.balances,
        "tokens": observed.tokens,
    }
    return ", ".join(f"{kind} {time or 'never'}" for kind, time in times.items())


def _clean(text: str) -> str:
    """Whoever names a token must not be able to move the cursor."""
    return "".join(c if c.isprintable() else "?" for c in text)
