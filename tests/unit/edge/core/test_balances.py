"""The balances party: what is joined into an update, and when that is made anew."""

import json
from typing import Any

import pytest

from edge.core.balances import Balances
from edge.core.changes import Changes
from edge.core.forms import BASE, Form
from edge.core.outbox import ZEROS, Outbox
from edge.core.places import NOWHERE
from edge.core.table import Held, Table
from schemas import extras
from schemas.ids import ContractId, Network, UserId
from tests.support.edge_table import (
    ANNE,
    BOB,
    CHA,
    CHA_SUBNET,
    NOW_MS,
    WELSH,
    Record,
    balance,
    gone,
    price,
    token,
)

KNOWN = (token(CHA, decimals=6), token(WELSH, decimals=6))
EXACT = Form(exact=True, resume=True)


class Party:
    """The balances of a table of their own."""

    def __init__(self, *records: Record) -> None:
        table = Table()
        self._changes = Changes(table)
        self.balances = Balances(table)
        self.put(*records)

    def put(self, *records: Record) -> list[tuple[Held, int]]:
        return self.balances.changed(self._changes.take(records, NOWHERE))

    def update(
        self,
        user: UserId,
        contract: ContractId,
        *,
        zeros: bool = False,
        form: Form = BASE,
    ) -> dict[str, Any] | None:
        flags = ZEROS if zeros else 0
        made = self.balances.update((user, contract), flags, form, now_ms=NOW_MS)
        said: dict[str, Any] | None = json.loads(made) if made else None
        return said


def test_a_balance_is_known_and_swept_by_its_user() -> None:
    balances = Party().balances
    assert (balances.named((ANNE, CHA)), balances.owner((ANNE, CHA))) == (ANNE, ANNE)
    assert balances.accepted([BOB, "?", ANNE], Network.MAINNET) == [BOB, ANNE]


def test_an_update_is_the_balance_the_zeros_or_nothing() -> None:
    party = Party(*KNOWN, balance(ANNE, CHA, 5), balance(ANNE, CHA_SUBNET, 5))
    held, zero = party.update(ANNE, CHA), party.update(ANNE, WELSH, zeros=True)
    assert held is not None
    assert zero is not None
    assert (held["source"], zero["source"]) == ("hiro-api", "default-zero")
    assert party.update(ANNE, WELSH) is None
    # Its decimals are not known.
    assert party.update(ANNE, CHA_SUBNET, zeros=True) is None


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        pytest.param(price(CHA, "3"), "price", 3, id="price"),
        pytest.param(token(CHA, decimals=6, name="New"), "name", "New", id="token"),
    ],
)
def test_the_metadata_follows_price_and_token(
    change: Record, name: str, value: object
) -> None:
    party = Party(*KNOWN, balance(ANNE, CHA, 5))
    before = party.update(ANNE, CHA)
    assert before is not None
    assert before["metadata"][name] is None
    party.put(change)
    after = party.update(ANNE, CHA)
    assert after is not None
    assert after["metadata"][name] == value


def test_exact_updates_have_every_part_as_text() -> None:
    party = Party(
        *KNOWN, balance(ANNE, CHA, None, version=3, subnets={CHA_SUBNET: 1_500_000})
    )
    held = party.update(ANNE, CHA, form=EXACT)
    zero = party.update(BOB, CHA, zeros=True, form=EXACT)
    for said, version in ((held, 3), (zero, 0)):
        assert said is not None
        assert said.pop("version") == version
        extras.ExactBalanceUpdate.model_validate_json(json.dumps(said))
    assert held is not None
    assert held["subnets"][0]["formattedBalance"] == "1.5"


def test_the_users_are_those_who_hold_anything() -> None:
    held = balance(BOB, CHA, 1)
    party = Party(held)
    before = party.balances.users()
    party.put(balance(BOB, WELSH, 1))
    assert party.balances.users() is before
    # One comes as another goes.
    party.put(gone(balance(BOB, WELSH, 1)), gone(held), balance(ANNE, CHA, 1))
    assert party.balances.users() == (ANNE,)
    party.put(held)
    assert party.balances.users() == (ANNE, BOB) or party.balances.users() == (
        BOB,
        ANNE,
    )


def test_an_answer_is_in_batches_and_a_change_is_not() -> None:
    party = Party(*KNOWN, balance(ANNE, CHA, 5))
    box: Outbox[Held] = Outbox()

    def taken() -> list[Any]:
        return list(
            map(
                json.loads,
                party.balances.take(box, BASE, limit_bytes=65_536, now_ms=NOW_MS),
            )
        )

    party.balances.ask(box, [ANNE])
    (batch,) = taken()
    assert [each["balance"] for each in batch["balances"]] == [5, 0]
    party.balances.ask(box, [])
    assert [each["balances"] for each in taken()] == [[]]
    box.offer((ANNE, CHA), ANNE, 0)
    assert [each["type"] for each in taken()] == ["BALANCE_UPDATE"]
    box.offer((BOB, CHA), BOB, 0)
    assert taken() == []
    assert box.is_empty
    whole = party.balances.everything([ANNE, BOB], zeros=False, now_ms=NOW_MS)
    assert len(whole) == 1
