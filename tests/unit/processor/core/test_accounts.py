"""What is held of a user: what changes is known, and nothing else changes."""

import pytest

from processor.core.accounts import NOTHING, Account, Layers, Mainnet, Subnet, User
from schemas.states import Moment
from tests.support.folding import ALPHA, ALPHA_SUBNET, BETA, BETA_SUBNET, USER

PART = Subnet("3", "node", Moment(1, 0), offset=4, held=True)


def test_a_copy_is_not_changed_and_changes_nothing() -> None:
    user = User(USER)
    user.put_subnet(ALPHA, ALPHA_SUBNET, PART)
    copied = user.copy()
    assert user.changed
    assert not copied.changed
    copied.drop_subnet(ALPHA, ALPHA_SUBNET)
    copied.set_account(Account(Moment(2, 0)))
    assert user.of(ALPHA).subnets == {ALPHA_SUBNET: PART}
    assert user.account is None


def test_what_is_put_as_it_was_is_no_change() -> None:
    user = User(USER)
    user.put(ALPHA, Layers(version=1))
    copied = user.copy()
    copied.put(ALPHA, Layers(version=1))
    assert not copied.changed


def test_subnet_parts_stand_in_the_order_of_their_ids() -> None:
    user = User(USER)
    user.put_subnet(ALPHA, BETA_SUBNET, PART)
    user.put_subnet(ALPHA, ALPHA_SUBNET, PART)
    assert list(user.of(ALPHA).subnets) == [ALPHA_SUBNET, BETA_SUBNET]


def test_a_subnet_is_found_under_whatever_base() -> None:
    user = User(USER)
    user.put(BETA, Layers(version=1))
    user.put_subnet(ALPHA, ALPHA_SUBNET, PART)
    assert user.subnet(ALPHA_SUBNET) == (ALPHA, PART)
    assert user.subnet(BETA_SUBNET) is None
    assert list(user.subnets()) == [PART]


def test_of_a_balance_never_held_there_is_nothing() -> None:
    assert User(USER).of(ALPHA) is NOTHING
    assert NOTHING.empty


def test_a_part_cannot_follow_an_account_without_a_reading() -> None:
    user = User(USER)
    with pytest.raises(AssertionError, match="without a reading"):
        user.standing(Mainnet("1", None, None, own=None))
