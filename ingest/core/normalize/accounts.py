"""What Hiro says of a whole account, in three generations of its API."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from pydantic import ValidationError

from ingest.core.normalize.body import Unusable, Upstream, read, text
from schemas.amounts import is_amount_said
from schemas.balances import Holding
from schemas.ids import STX, ContractId, Network, asset_name, parse_contract_id

# Which asset of a contract is its token: the registry knows, or nobody.
Chosen = Callable[[ContractId], str | None]
# A cursor is a balance and an asset id; what is longer or odd is no cursor.
_CURSOR = re.compile(r"[\x21-\x7e]{1,512}")


@dataclass(frozen=True, slots=True)
class Account:
    """A whole account: ``holdings`` by contract id, ``others`` by contract and asset.

    ``foreign`` assets have an id that no record can be kept under; they are left out.
    """

    holdings: tuple[Holding, ...]
    others: tuple[Holding, ...] = ()
    foreign: int = 0

    @property
    def rows(self) -> int:
        """How many holdings it has."""
        return len(self.holdings) + len(self.others)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the fungible tokens of an account."""

    rows: tuple[tuple[str, str], ...]
    total: int
    next_cursor: str | None = None


class _Amounts(Upstream):
    balance: str
    total_sent: str | None = None
    total_received: str | None = None


class _V1(Upstream):
    stx: _Amounts
    fungible_tokens: dict[str, _Amounts]


class _Stx(Upstream):
    balance: str


class _V2Row(Upstream):
    token: str
    balance: str


class _V2Page(Upstream):
    total: int
    results: list[_V2Row]


class _V3Row(Upstream):
    asset_identifier: str
    balance: str


class _Cursor(Upstream):
    next: str | None


class _V3Page(Upstream):
    total: int
    cursor: _Cursor
    results: list[_V3Row]


def account_v1(body: bytes, *, network: Network, chosen: Chosen) -> Account | Unusable:
    """Read ``/extended/v1/address/{p}/balances``: STX and all tokens in one body."""
    said = read(_V1, body)
    if isinstance(said, Unusable):
        return said
    return _account(
        said.stx, said.fungible_tokens.items(), network=network, chosen=chosen
    )


def stx_balance(body: bytes) -> str | Unusable:
    """Read ``balances/stx`` of v2 or v3: the balance, locked STX included."""
    said = read(_Stx, body)
    return said if isinstance(said, Unusable) else said.balance


def page_v2(body: bytes) -> Page | Unusable:
    """Read a page of v2 (by offset)."""
    said = read(_V2Page, body)
    if isinstance(said, Unusable):
        return said
    return Page(tuple((row.token, row.balance) for row in said.results), said.total)


def page_v3(body: bytes) -> Page | Unusable:
    """Read a page of v3 (by cursor)."""
    said = read(_V3Page, body)
    if isinstance(said, Unusable):
        return said
    cursor = said.cursor.next
    if cursor and not _CURSOR.fullmatch(cursor):
        return Unusable("the cursor of the next page is none")
    rows = tuple((row.asset_identifier, row.balance) for row in said.results)
    return Page(rows, said.total, cursor)


def account_of_pages(
    stx: str, pages: Sequence[Page], *, network: Network, chosen: Chosen
) -> Account | Unusable:
    """Put an account together from all its pages; v2 and v3 have no totals.

    Whole or nothing: a balance that moves while paging repeats or skips a row, and a
    token that is skipped would look like one that was spent.
    """
    count = sum(len(page.rows) for page in pages)
    rows = dict(row for page in pages for row in page.rows)
    totals = {page.total for page in pages}
    if len(rows) != count or totals != {count}:
        return Unusable("the pages do not make a whole account")
    tokens = [(asset, _Amounts(balance=balance)) for asset, balance in rows.items()]
    return _account(_Amounts(balance=stx), tokens, network=network, chosen=chosen)


def _account(
    stx: _Amounts,
    tokens: Iterable[tuple[str, _Amounts]],
    *,
    network: Network,
    chosen: Chosen,
) -> Account | Unusable:
    said: list[tuple[ContractId, str | None, _Amounts]] = [(STX, None, stx)]
    foreign = 0
    for asset_id, amounts in tokens:
        contract = parse_contract_id(asset_id, network)
        if contract is None or contract == STX:
            foreign += 1
        else:
            said.append((contract, text(asset_name(asset_id)), amounts))
    try:
        holdings = [_holding(*row) for row in said]
    except (ValidationError, ValueError):
        # One amount that cannot be read would make its token vanish, and so be zero.
        return Unusable("an amount is not an integer")
    return _chosen(holdings, chosen=chosen, foreign=foreign)


def _holding(contract: ContractId, asset: str | None, amounts: _Amounts) -> Holding:
    for amount in (amounts.balance, amounts.total_sent, amounts.total_received):
        if amount is not None and not is_amount_said(amount):
            raise ValueError("not an integer")
    return Holding(
        contract_id=contract,
        asset=asset,
        balance=amounts.balance,
        total_sent=amounts.total_sent,
        total_received=amounts.total_received,
    )


def _chosen(holdings: list[Holding], *, chosen: Chosen, foreign: int) -> Account:
    """Keep one asset a contract; never add two up, they are different things."""
    ordered = sorted(holdings, key=lambda held: (held.contract_id, held.asset or ""))
    by_contract: dict[ContractId, list[Holding]] = {}
    for held in ordered:
        by_contract.setdefault(held.contract_id, []).append(held)
    kept: list[Holding] = []
    others: list[Holding] = []
    for contract, assets in by_contract.items():
        wanted = chosen(contract)
        first = next((held for held in assets if held.asset == wanted), assets[0])
        kept.append(first)
        others.extend(held for held in assets if held is not first)
    return Account(tuple(kept), tuple(others), foreign)


class Doubt(Enum):
    """Why a reading is doubtful, compared with the one before it.

    Each of them may be true, so a doubtful reading is looked at once more before anything
    is taken away from an account.
    """

    # Totals only grow on one chain, and a row that has some does not vanish: this is an
    # older state, of a node that lags or of a fork, or part of the answer is missing.
    BACK = "back"
    # Nothing is left of what was held.
    EMPTY = "empty"
    # What was held is not mentioned any more, in a generation that has no totals.
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Doubts:
    """A doubtful reading: why, and how the rows in doubt stand in it (``None``: not at all)."""

    why: Doubt
    rows: Mapping[tuple[ContractId, str | None], Holding | None]

    def repeats(self, other: "Doubts") -> bool:
        """Tell whether two readings say the same of what is in doubt."""
        return self.rows == other.rows


def doubts(before: Account, after: Account) -> Doubts | None:
    """Return what is doubtful about a reading that follows another; ``None`` if nothing is.

    There is no height in an answer: only the order of reading says which one is newer.
    """
    rows = {_asset(held): held for held in (*after.holdings, *after.others)}
    steps = {
        asset: (held, rows.get(asset))
        for held in (*before.holdings, *before.others)
        if (asset := _asset(held)) in rows or _had_something(held)
    }
    back = {asset: new for asset, (old, new) in steps.items() if _went_back(old, new)}
    gone = {asset: new for asset, (_, new) in steps.items() if new is None}
    if _holds(before) and not _holds(after):
        spent = {a: new for a, (old, new) in steps.items() if old.balance != "0"}
        return Doubts(Doubt.EMPTY, back | gone | spent)
    if back:
        return Doubts(Doubt.BACK, back | gone)
    return Doubts(Doubt.MISSING, gone) if gone else None


def _holds(account: Account) -> bool:
    return any(held.balance != "0" for held in account.holdings)


def _asset(held: Holding) -> tuple[ContractId, str | None]:
    return held.contract_id, held.asset


def _totals(held: Holding) -> tuple[str | None, str | None]:
    return held.total_sent, held.total_received


def _had_something(held: Holding) -> bool:
    return any(amount not in {None, "0"} for amount in (held.balance, *_totals(held)))


def _went_back(old: Holding, new: Holding | None) -> bool:
    """Tell whether a row is of an older state: its totals shrank, or are not there.

    So is one that holds less though nothing was sent. STX is another matter: fees are
    taken from its balance.
    """
    if new is None:
        return any(total not in {None, "0"} for total in _totals(old))
    totals = list(zip(_totals(old), _totals(new), strict=True))
    if any(_shrank(*total) for total in totals):
        return True
    still = all(one is not None and one == two for one, two in totals)
    return still and old.contract_id != STX and int(new.balance) < int(old.balance)


def _shrank(old: str | None, new: str | None) -> bool:
    if old is None:
        return False
    return int(new) < int(old) if new is not None else old != "0"


def same_content(one: Account, other: Account) -> bool:
    """Tell whether two readings say the same of an account."""
    return (one.holdings, one.others) == (other.holdings, other.others)
