"""How readings of accounts and subnets become the balances of a user."""

from collections.abc import Sequence
from typing import assert_never

from schemas.amounts import is_sound
from schemas.balances import (
    AccountConfirmed,
    AccountRead,
    BalanceObserved,
    Holding,
    SubnetRead,
    UserForgotten,
)
from schemas.journal import Decision
from schemas.states import MAX_SUBNETS, Moment

from .accounts import Account, Layers, Mainnet, Reading, Standing, Subnet, User
from .observations import Seen
from .rules import CONFLICT, FULL, UNKNOWN_READING, Outcome, Refused, Rules

_DUPLICATE = Outcome((Decision.DUPLICATE,))
_STALE = Outcome((Decision.STALE,))
_SUSPECT = Outcome((Decision.SUSPECT,))
_UNCHANGED = Outcome((Decision.UNCHANGED,))


def fold(user: User, seen: Seen, rules: Rules) -> Outcome | Refused:
    """Fold one observation into what is held of its user; change it only by that."""
    said: BalanceObserved = seen.said
    match said:
        case AccountRead():
            return _read(user, said, seen, rules)
        case AccountConfirmed():
            return _confirmed(user, said)
        case SubnetRead():
            return _subnet_read(user, said, seen, rules)
        case UserForgotten():
            return _forgotten(user, said, rules)
        case _:
            assert_never(said)


def _moment(said: BalanceObserved) -> Moment:
    return Moment(said.observed_at, said.sequence)


def _read(user: User, said: AccountRead, seen: Seen, rules: Rules) -> Outcome | Refused:
    moment, account = _moment(said), user.account
    sha256 = seen.sha256
    before = account.reading if account else None
    if before and (before.source, before.moment) == (said.source, moment):
        return _DUPLICATE if before.sha256 == sha256 else CONFLICT
    becomes_account = account is None or moment > account.moment
    own = None if becomes_account else Standing(moment, said.observed_at, seen.offset)
    held = {key for key, layers in user.layers.items() if layers.mainnet}
    holdings = {str(holding.contract_id): holding for holding in said.holdings}
    decided = {
        contract_id: _decide(
            user, contract_id, holdings.get(contract_id), moment=moment, own=own
        )
        for contract_id in sorted(held | holdings.keys())
    }
    if becomes_account:
        reading = Reading(said.source, moment, sha256, seen.offset)
        forgotten = account.forgotten if account else None
        user.set_account(Account(moment, reading, forgotten))
    if not decided:
        return _UNCHANGED if becomes_account else _STALE
    return Outcome(
        tuple(decided.values()),
        _published(
            user,
            [key for key, what in decided.items() if what is Decision.PUBLISHED],
            rules,
        ),
    )


def _decide(
    user: User,
    contract_id: str,
    holding: Holding | None,
    *,
    moment: Moment,
    own: Standing | None,
) -> Decision:
    """Decide on one part of a reading and set it; ``own`` unless it follows."""
    part = user.of(contract_id).mainnet
    held = _held_moment(user, part)
    if held is not None and moment <= held:
        return Decision.STALE
    if holding is not None and not _is_sound(holding):
        if part is not None:
            # It stays where it stands while the account moves on.
            user.put_mainnet(contract_id, part._replace(own=user.standing(part)))
        return Decision.SUSPECT
    after = _part_of(holding, part, own)
    user.put_mainnet(contract_id, after)
    same = part is not None and part[:3] == after[:3]
    return Decision.UNCHANGED if same else Decision.PUBLISHED


def _held_moment(user: User, part: Mainnet | None) -> Moment | None:
    if part is not None:
        return user.standing(part).moment
    return user.account.moment if user.account else None


def _part_of(
    holding: Holding | None, part: Mainnet | None, own: Standing | None
) -> Mainnet:
    """Return the part as a reading says it; what is not in a reading is zero."""
    if holding is not None:
        return Mainnet(holding.balance, holding.total_sent, holding.total_received, own)
    sent, received = (part.total_sent, part.total_received) if part else (None, None)
    return Mainnet("0", sent, received, own)


def _is_sound(holding: Holding) -> bool:
    said = (holding.balance, holding.total_sent, holding.total_received)
    return all(amount is None or is_sound(amount) for amount in said)


def _confirmed(user: User, said: AccountConfirmed) -> Outcome | Refused:
    moment, account = _moment(said), user.account
    if account is not None and moment <= account.moment:
        return _STALE
    if account is None or account.reading is None:
        return UNKNOWN_READING
    if account.reading.sha256 != said.reading:
        return UNKNOWN_READING
    user.set_account(account._replace(moment=moment))
    return _UNCHANGED


def _subnet_read(
    user: User, said: SubnetRead, seen: Seen, rules: Rules
) -> Outcome | Refused:
    found = user.subnet(said.subnet_id)
    base_id, part = found or (None, None)
    was_held = part is not None and part.held
    held = was_held or rules.zero_is_news or said.balance != "0"
    after = Subnet(said.balance, said.source, _moment(said), seen.offset, held)
    refused = _subnet_refused(user, part, after, same_base=base_id == said.base_id)
    if refused is not None:
        return refused
    moves = base_id != said.base_id
    if moves and len(user.of(said.base_id).subnets) >= MAX_SUBNETS:
        return FULL
    if base_id is not None and moves:
        user.drop_subnet(base_id, said.subnet_id)
    user.put_subnet(said.base_id, said.subnet_id, after)
    is_same = was_held and not moves and part is not None and part[0] == after[0]
    if is_same or not held:
        return _UNCHANGED
    bases = {said.base_id, base_id if base_id and was_held else said.base_id}
    return Outcome((Decision.PUBLISHED,), _published(user, sorted(bases), rules))


def _subnet_refused(
    user: User, part: Subnet | None, after: Subnet, *, same_base: bool
) -> Outcome | Refused | None:
    """Return why a subnet's part stays as it is; ``None`` if it is to be set."""
    if part is not None and part[1:3] == after[1:3]:
        same = same_base and part.balance == after.balance
        return _DUPLICATE if same else CONFLICT
    forgotten = user.account.forgotten if user.account else None
    held = part.moment if part is not None else forgotten
    if held is not None and after.moment <= held:
        return _STALE
    return None if is_sound(after.balance) else _SUSPECT


def _forgotten(user: User, said: UserForgotten, rules: Rules) -> Outcome:
    moment = _moment(said)
    if user.account is not None and moment <= user.account.moment:
        return _STALE
    if any(moment <= part.moment for part in user.subnets()):
        return _STALE
    user.set_account(Account(moment, reading=None, forgotten=moment))
    gone = sorted(key for key, layers in user.layers.items() if not layers.empty)
    for contract_id in list(user.layers):
        user.put(contract_id, Layers(version=user.of(contract_id).version))
    if not gone:
        return _UNCHANGED
    return Outcome((Decision.PUBLISHED,) * len(gone), _published(user, gone, rules))


def _published(
    user: User, contract_ids: Sequence[str], rules: Rules
) -> tuple[tuple[bytes, bytes | None], ...]:
    return tuple(user.publish(key, shard=rules.shard) for key in contract_ids)
