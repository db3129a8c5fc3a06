"""What was decided on one key, of all that was decided on one observation."""

from typing import Any

from processor.core.accounts import User
from processor.core.batch import Batch
from schemas.amounts import is_sound
from schemas.balances import AccountConfirmed, AccountRead, Holding, SubnetRead
from schemas.journal import Decision
from schemas.states import Moment
from schemas.topics import BALANCES_RAW, CHANGES

from .subjects import Key


def decision_on(key: Key, said: Any, before: Any, batch: Batch) -> Decision | None:
    """Return what one observation, folded alone, decided on a key of its owner.

    ``said`` is the observation, ``before`` the state of the owner before it. ``None`` if
    it says nothing about the key.
    """
    if any(key.key == published for published, _, _ in batch.entries[CHANGES]):
        return Decision.PUBLISHED
    made = {Decision(name.partition(".")[2]) for name in batch.decisions}
    if key.topic != BALANCES_RAW or made == {Decision.REJECTED}:
        return made.pop()
    user: User = before
    if isinstance(said, AccountRead):
        return _in_reading(key.contract_id, said, user, made)
    return made.pop() if _concerns(key.contract_id, said, user) else None


def _in_reading(
    contract_id: str, said: AccountRead, user: User, made: set[Decision]
) -> Decision | None:
    if made == {Decision.DUPLICATE}:
        return Decision.DUPLICATE
    part = user.of(contract_id).mainnet
    holding = next((h for h in said.holdings if h.contract_id == contract_id), None)
    if part is None and holding is None:
        return None
    account = user.account
    if part is not None:
        held: Moment | None = user.standing(part).moment
    else:
        held = account.moment if account else None
    if held is not None and Moment(said.observed_at, said.sequence) <= held:
        return Decision.STALE
    suspect = holding is not None and not _is_sound(holding)
    return Decision.SUSPECT if suspect else Decision.UNCHANGED


def _is_sound(holding: Holding) -> bool:
    amounts = holding.balance, holding.total_sent, holding.total_received
    return all(amount is None or is_sound(amount) for amount in amounts)


def _concerns(contract_id: str, said: Any, user: User) -> bool:
    """Tell whether what is said of a user may move a key of its own."""
    layers = user.of(contract_id)
    match said:
        case AccountConfirmed():
            return layers.mainnet is not None
        case SubnetRead():
            return said.base_id == contract_id or said.subnet_id in layers.subnets
        case _:
            return not layers.empty
