"""The prices party: what is made once, and what that follows."""

import json

from edge.core.changes import Changes
from edge.core.forms import BASE, Form
from edge.core.outbox import Outbox
from edge.core.places import NOWHERE
from edge.core.prices import Prices
from edge.core.table import Table
from schemas.ids import STX, ContractId, Network
from schemas.log import World
from tests.support.edge_table import (
    BOB,
    CHA,
    CHA_SUBNET,
    NOW_MS,
    WELSH,
    Record,
    identity,
    price,
    token,
)

SUBNET = token(CHA_SUBNET, type="SUBNET", base=CHA)
EXACT = Form(exact=True, resume=True, seq=True)


class Party:
    """The prices of a table of their own."""

    def __init__(self, *records: Record) -> None:
        table = Table()
        self._changes = Changes(table)
        self.prices = Prices(table, self._changes)
        self.put(*records)

    def put(self, *records: Record) -> list[tuple[str, int]]:
        return self.prices.changed(self._changes.take(records, NOWHERE))

    def batches(
        self, form: Form = BASE, *, limit_bytes: int = 65_536
    ) -> list[list[str]]:
        """Return the ids in each batch of all."""
        box: Outbox[str] = Outbox()
        self.prices.ask(box, None)
        found = []
        while not box.is_empty:
            found += [
                [each["contractId"] for each in json.loads(message)["prices"]]
                for message in self.prices.take(
                    box, form, limit_bytes=limit_bytes, now_ms=NOW_MS
                )
            ]
        return found


def test_a_price_is_known_by_its_spelling_and_swept_by_its_token() -> None:
    prices = Party().prices
    assert (prices.named("stx"), prices.owner("stx")) == ("stx", STX)
    assert prices.accepted(["stx", "?", CHA], Network.MAINNET) == ["stx", CHA]


def test_an_update_is_made_anew_when_the_price_or_the_world_is_another() -> None:
    party = Party(price(CHA, "1"), SUBNET)

    def seen(key: str) -> tuple[float, str]:
        said = json.loads(party.prices.update(key, 0, BASE, now_ms=0))
        return said["price"], said["source"]

    assert (seen(CHA), seen(CHA_SUBNET)) == ((1, "api"), (1, "api"))
    party.put(price(CHA, "2"))
    assert (seen(CHA), seen(CHA_SUBNET)) == ((2, "api"), (2, "api"))
    party.put(identity(World.SIMULATED), token(WELSH))
    assert seen(CHA) == (2, "local-dev")
    assert party.prices.update(WELSH, 0, BASE, now_ms=0) == b""


def test_each_form_has_an_update_of_its_own() -> None:
    party = Party(price(CHA, "0.1", version=7))
    base = json.loads(party.prices.update(CHA, 0, BASE, now_ms=0))
    exact = json.loads(party.prices.update(CHA, 0, EXACT, now_ms=0))
    assert (base["price"], exact["price"], exact["version"]) == (0.1, "0.1", 7)
    assert "version" not in base


def test_all_is_every_spelling_of_what_has_a_price() -> None:
    party = Party(price(CHA, "2"), price(STX, "0.63"), SUBNET, token(WELSH))
    assert party.batches() == [[STX, "stx", CHA, CHA_SUBNET]]
    assert len(party.prices.everything()) == 4
    party.put(price(WELSH, "1"))
    assert party.batches(EXACT) == [[STX, "stx", CHA, CHA_SUBNET, WELSH]]
    assert Party(token(WELSH)).batches() == Party().batches() == []


def test_a_long_batch_of_all_is_several_messages() -> None:
    tokens = [ContractId(f"{BOB}.token-{number:02}") for number in range(20)]
    party = Party(*(price(each, "1") for each in tokens))
    for form in (BASE, EXACT):
        shares = party.batches(form, limit_bytes=2_000)
        assert len(shares) > 1
        assert [each for share in shares for each in share] == tokens


def test_who_is_in_the_middle_of_all_gets_the_rest_as_it_is() -> None:
    party = Party(price(CHA, "1"), price(WELSH, "1"))
    box: Outbox[str] = Outbox()
    party.prices.ask(box, None)
    first = party.prices.take(box, BASE, limit_bytes=600, now_ms=0)
    # A token that comes now is told of as a change; the list stays as it was.
    party.put(price(STX, "1"), price(WELSH, "2"))
    assert box.offer(STX, STX, 0).value == "queued"
    assert box.offer(WELSH, WELSH, 0).value == "conflated"
    second = party.prices.take(box, BASE, limit_bytes=600, now_ms=0)
    third = party.prices.take(box, BASE, limit_bytes=600, now_ms=0)
    (one,), (two,), (three,) = (
        map(json.loads, each) for each in (first, second, third)
    )
    assert [each["contractId"] for each in one["prices"]] == [CHA]
    assert [each["price"] for each in two["prices"]] == [2]
    assert (three["type"], three["contractId"]) == ("PRICE_UPDATE", STX)
    assert box.is_empty


def test_parts_of_the_batch_of_all_are_made_once() -> None:
    party = Party(price(CHA, "1"), price(WELSH, "1"))
    assert party.batches() == party.batches()
    before = party.prices.take(asked(party), BASE, limit_bytes=65_536, now_ms=0)
    party.put(price(CHA, "2"))
    after = party.prices.take(asked(party), BASE, limit_bytes=65_536, now_ms=0)
    assert before != after


def asked(party: Party) -> Outbox[str]:
    box: Outbox[str] = Outbox()
    party.prices.ask(box, None)
    return box
