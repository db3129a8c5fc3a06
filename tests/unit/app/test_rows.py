"""What `tail` makes of the records of the public table."""

from decimal import Decimal

import pytest
from pydantic import BaseModel

from app.keys import matches, pattern
from app.rows import Row, Rows
from schemas.balances import Balance, MainnetPart, SubnetPart
from schemas.base import encode
from schemas.ids import STX, ContractId, Network, UserId
from schemas.latest import (
    balance_key,
    observed_key,
    price_key,
    terms_key,
    token_key,
    unquoted_key,
    watermark_key,
)
from schemas.log import LogIdentity, Observed, Term, Terms, Unquoted, Watermark, World
from schemas.prices import Price
from schemas.tokens import Token, TokenFields

OWNER = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS"
USER, TOKEN = UserId(OWNER), ContractId(f"{OWNER}.charisma-token")
SUBNET = ContractId(f"{OWNER}.charisma-token-subnet-v1")


def row(rows: Rows, key: bytes, said: BaseModel) -> Row:
    return rows.row(key, encode(said), time_ms=5)


def a_price(usd: str, version: int = 1) -> Price:
    return Price(contract_id=TOKEN, usd=usd, version=version, observed_at=1, origins=())


def a_token(**fields: object) -> Token:
    return Token(
        contract_id=TOKEN,
        fields=TokenFields.model_validate(fields),
        version=1,
        observed_at=1,
        origins=(),
    )


def a_balance() -> Balance:
    return Balance(
        user_id=USER,
        contract_id=TOKEN,
        mainnet=MainnetPart(
            balance="1500000", total_sent=None, total_received=None, observed_at=1
        ),
        subnets={SUBNET: SubnetPart(balance="12", observed_at=1)},
        version=4,
        observed_at=1,
        origins=(),
    )


def test_a_price_shows_its_change_since_the_last_one_seen() -> None:
    rows = Rows()
    first = row(rows, price_key(TOKEN), a_price("2"))
    assert first == Row(5, "price", TOKEN, "2 USD", None, 1)
    assert row(rows, price_key(TOKEN), a_price("2.5", 2)).change == Decimal(25)
    assert row(rows, price_key(TOKEN), a_price("2.5", 3)).change is None


def test_a_token_gives_its_symbol_and_decimals_to_what_follows() -> None:
    rows = Rows()
    before = row(rows, balance_key(USER, TOKEN), a_balance())
    assert before.value == "1500000 units + 12 units in subnet"
    token = row(rows, token_key(TOKEN), a_token(symbol="CHA", decimals=6))
    assert (token.name, token.value) == (f"CHA {TOKEN}", "6 decimals")
    after = row(rows, balance_key(USER, TOKEN), a_balance())
    assert after.name == f"{USER} CHA {TOKEN}"
    assert after.value == "1.5 CHA + 0.000012 CHA in subnet"
    assert after.version == 4


def test_what_is_not_shown_may_be_learnt_from_all_the_same() -> None:
    rows = Rows()
    rows.learn(token_key(TOKEN), encode(a_token(symbol="CHA", decimals=6)))
    rows.learn(price_key(TOKEN), encode(a_price("2")))
    for key, value in (
        (token_key(TOKEN), None),
        (token_key(TOKEN), b"{"),
        (balance_key(USER, TOKEN), b"{"),
    ):
        rows.learn(key, value)
    found = row(rows, balance_key(USER, TOKEN), a_balance())
    assert found.value == "1.5 CHA + 0.000012 CHA in subnet"
    assert row(rows, price_key(TOKEN), a_price("2.5", 2)).change == Decimal(25)


def test_a_balance_without_any_part_is_nothing() -> None:
    empty = a_balance().model_copy(update={"mainnet": None, "subnets": {}})
    assert row(Rows(), balance_key(USER, TOKEN), empty).value == "0"


def test_a_token_of_a_subnet_without_decimals_says_so() -> None:
    said = a_token(type="SUBNET")
    assert row(Rows(), token_key(TOKEN), said).value == "? decimals, subnet"


def test_a_symbol_cannot_move_the_cursor() -> None:
    said = row(Rows(), token_key(TOKEN), a_token(symbol="\x1b[2Jx"))
    assert said.name.startswith("?[2Jx ")


def test_a_watermark_and_an_identity_have_rows_too() -> None:
    mark = row(Rows(), watermark_key(1), Watermark(shard=1, log_time=9))
    assert (mark.name, mark.value) == ("shard 1", "read to 9")
    identity = LogIdentity(
        id="a" * 32,
        network=Network.MAINNET,
        world=World.LIVE,
        partitions=2,
        created_at=1,
    )
    assert row(Rows(), b"log:identity", identity).value == "live world on mainnet"


def test_what_a_shard_says_about_itself_has_rows_that_must_be_asked_for() -> None:
    observed = Observed(shard=1, prices=9, balances=None, tokens=7)
    shown = row(Rows(), observed_key(1), observed)
    assert (shown.name, shown.value) == (
        "shard 1",
        "prices 9, balances never, tokens 7",
    )
    terms = Terms(shard=1, terms=(Term("a" * 12, 0, 5), Term("b" * 12, 40, 6)))
    assert row(Rows(), terms_key(1), terms).value == "term bbbbbbbbbbbb from 40"
    unquoted = Unquoted(shard=1, count=1, prices={STX: 9})
    shown = row(Rows(), unquoted_key(1), unquoted)
    assert shown.value == "tokens that no source quotes: 1"
    for key in (watermark_key(1), observed_key(1), unquoted_key(1), terms_key(1)):
        assert not matches(key, [])
        assert matches(key, [pattern(key.decode().split(":")[0])])


def test_a_withdrawn_and_an_unreadable_record_are_shown_as_such() -> None:
    assert Rows().row(b"price:x", None, time_ms=1).value == "(withdrawn)"
    unreadable = Rows().row(price_key(STX), b"{", time_ms=1)
    assert unreadable.value.startswith("(unreadable")


@pytest.mark.parametrize(
    ("key", "patterns", "wanted"),
    [
        (b"price:.stx", [], True),
        (b"watermark:0", [], False),
        (b"watermark:0", ["watermark"], True),
        (b"price:.stx", ["price"], True),
        (b"token:.stx", ["price"], False),
        (b"price:.stx", ["*:.stx"], True),
        (b"price:.stx", ["balance", "price:.s*"], True),
    ],
)
def test_keys_are_chosen_by_kind_or_glob(
    key: bytes, patterns: list[str], wanted: object
) -> None:
    assert matches(key, [pattern(each) for each in patterns]) is wanted
