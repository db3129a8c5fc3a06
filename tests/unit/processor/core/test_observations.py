"""Raw records: the quick way of reading a price says what the model says."""

import json
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.port import Record
from processor.core import observations
from processor.core.observations import (
    Seen,
    read_balance,
    read_price,
    read_prices,
    read_token,
)
from processor.core.prices import EARLIEST_SOURCE_TIME, Quote
from processor.core.rules import Refused
from schemas.base import MAX_INT, Malformed, canonical, decoder, encode
from schemas.prices import Market, PriceObserved
from schemas.rejects import Reason
from tests.support.folding import ALPHA, price, reading, token
from tests.support.records import EVENTS

decode = decoder(PriceObserved)
KEY = ALPHA.encode()
ORDINARY = json.loads(encode(price("1.5", market=Market(change1h="1"))))


def by_model(key: bytes | None, value: bytes) -> Quote | Refused:
    said: PriceObserved | Malformed = decode(value)
    if isinstance(said, Malformed):
        return Refused(Reason.SCHEMA, said.field)
    if said.contract_id.encode() != key:
        return Refused(Reason.SCHEMA, "key")
    return Quote(
        observed_at=said.observed_at,
        sequence=said.sequence,
        source=said.source,
        usd=said.usd,
        number=Decimal(said.usd),
        market=encode(said.market).decode() if said.market else None,
        offset=7,
        time=_time(said),
        since=said.observed_at,
    )


def _time(said: PriceObserved) -> int:
    if said.source_time is None or said.source_time < EARLIEST_SOURCE_TIME:
        return said.observed_at
    return min(said.source_time, said.observed_at)


def agree(key: bytes | None, value: bytes) -> Quote | Refused:
    read = read_price(Record(7, 1, key, value))
    assert read == by_model(key, value)
    # Equal is not enough: True is 1.
    assert repr(read) == repr(by_model(key, value))
    return read


@given(EVENTS[PriceObserved])
def test_what_our_encoder_wrote_is_read_as_the_model_reads_it(
    event: PriceObserved,
) -> None:
    read = agree(event.contract_id.encode(), encode(event))
    assert isinstance(read, Quote)


ORDINARY_RECORD = (KEY, canonical(ORDINARY))
ODD_RECORDS = st.sampled_from(
    [
        (KEY, b""),
        (KEY, b"nonsense"),
        (None, None),
        (KEY, None),
        (b"another", canonical(ORDINARY)),
        (KEY, canonical(ORDINARY | {"market": {}})),
        (KEY, canonical(ORDINARY | {"usd": "11." + "1" * 37})),
        (KEY, canonical(ORDINARY) + b"\n" + canonical(ORDINARY)),
        (KEY, canonical(ORDINARY) + b"\n"),
        (KEY, canonical(ORDINARY).replace(b'"source":"a"', b'"source":"\n"')),
    ]
)


@given(
    st.lists(st.one_of(st.just(ORDINARY_RECORD), ODD_RECORDS), max_size=12),
    st.integers(0, 260),
)
def test_records_read_at_once_are_read_as_each_alone(
    said: list[tuple[bytes | None, bytes | None]], ordinary_before: int
) -> None:
    said = [ORDINARY_RECORD] * ordinary_before + said
    records = [Record(n, 1, key, value) for n, (key, value) in enumerate(said)]
    assert list(read_prices(records)) == [read_price(record) for record in records]


class Looked(NamedTuple):
    """A record that counts how often its value is looked at."""

    value_: bytes
    looks: list[None]
    offset: int = 7
    time_ms: int = 1
    key: bytes | None = KEY

    @property
    def value(self) -> bytes:
        self.looks.append(None)
        return self.value_


@pytest.mark.parametrize("wrong", [1, 25, 249, 250])
@pytest.mark.parametrize(
    ("value", "most"), [(b'{"schema":"x"}', 4), (b"x" * 100_000, 5)]
)
def test_refused_records_are_looked_at_so_often_however_many_they_are(
    value: bytes, most: int, wrong: int
) -> None:
    looks: list[None] = []
    right = Looked(canonical(ORDINARY), looks)
    records = [Looked(value, looks)] * wrong + [right] * (250 - wrong)
    said = list(read_prices(records))
    assert [isinstance(one, Refused) for one in said] == [n < wrong for n in range(250)]
    assert len(looks) <= most * len(records)


def test_of_large_records_none_is_read_before_it_is_taken() -> None:
    looks: list[None] = []
    large = b'{"schema":"' + b"x" * 100_000
    said = read_prices([Looked(large, looks)] * 1_000)
    for _ in range(48):
        next(said)
    # The rest of the piece was measured, not read: reading takes one look more.
    assert len(looks) < 2 * 250 + 3 * 48


def test_a_price_that_is_longer_than_any_of_ours_is_read_as_well() -> None:
    source = "a" * 5_000
    agree(KEY, canonical(ORDINARY | {"source": source}))
    agree(KEY, canonical(ORDINARY).replace(b"{", b"{" + b" " * 5_000, 1))


@pytest.mark.parametrize("name", ["no-id", "x" * 3_000, ALPHA.lower(), "stx"])
def test_what_is_no_id_is_refused_under_its_own_key_and_not_remembered(
    name: str,
) -> None:
    before = observations._is_id.cache_info().currsize
    value = canonical(ORDINARY | {"contractId": name})
    assert isinstance(agree(name.encode(), value), Refused)
    assert observations._is_id.cache_info().currsize == before


def test_a_value_of_two_lines_does_not_pass_for_two() -> None:
    """As many lines as records, and each line an ordinary one."""
    two = canonical(ORDINARY) + b"\n" + canonical(ORDINARY)
    records = [Record(0, 1, KEY, two), Record(1, 1, KEY, b"")]
    first, second = read_prices(records)
    assert isinstance(first, Refused)
    assert isinstance(second, Refused)


odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([MAX_INT, MAX_INT + 1, 2**64, 1.0, 0.5]),
    st.sampled_from(
        ["", "1", "1.50", "01", "-1", "1e5", "A", "a\n", "é", "stx", ".stx"]
    ),
    st.sampled_from([[], {}, ["a"], {"change1h": "1"}, {"marketCap": 1}]),
    st.text(max_size=3),
)


@given(st.sampled_from([*ORDINARY, "more"]), odd, st.booleans())
def test_any_odd_field_is_judged_as_the_model_judges_it(
    field: str, value: Any, removed: bool
) -> None:
    said = {**ORDINARY, field: value}
    if removed:
        del said[field]
    agree(KEY, json.dumps(said).encode())


@given(st.sampled_from([*ORDINARY["market"], "more"]), odd)
def test_any_odd_market_is_judged_as_the_model_judges_it(
    field: str, value: Any
) -> None:
    market = {**ORDINARY["market"], field: value}
    agree(KEY, json.dumps({**ORDINARY, "market": market}).encode())


@given(st.binary(max_size=20), st.integers(0, 400), st.integers(0, 3))
def test_bytes_changed_anywhere_are_judged_as_the_model_judges_them(
    noise: bytes, at: int, length: int
) -> None:
    value = canonical(ORDINARY)
    agree(KEY, value[:at] + noise + value[at + length :])


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b"\xff", id="no UTF-8"),
        pytest.param(b"\xef\xbb\xbf" + canonical(ORDINARY), id="a byte order mark"),
        pytest.param(b"[" * 100_000, id="nested deeply"),
        pytest.param(orjson.dumps(ORDINARY, option=orjson.OPT_INDENT_2), id="spaces"),
        pytest.param(
            canonical(ORDINARY).replace(b"1.5", b"1.5\\ud800"), id="a surrogate"
        ),
        pytest.param(canonical(ORDINARY).replace(b":1,", b":-0,"), id="minus zero"),
        pytest.param(canonical(ORDINARY).replace(b":1,", b":1.0,"), id="a float"),
        pytest.param(canonical(ORDINARY).replace(b":1,", b":NaN,"), id="not a number"),
        pytest.param(
            canonical(ORDINARY).replace(b"{", b'{"usd":"9","usd":"3",', 1), id="twice"
        ),
        pytest.param(
            canonical(ORDINARY).replace(b'"usd":"1.5"', b'"usd":"3","usd":"1.5"'),
            id="twice, the last alike",
        ),
        pytest.param(canonical(ORDINARY).replace(b"usd", b"us\\u0064"), id="escaped"),
        pytest.param(
            canonical(ORDINARY | {"usd": "11." + "1" * 37}), id="a long price"
        ),
        pytest.param(canonical(ORDINARY | {"observedAt": MAX_INT}), id="16 digits"),
        pytest.param(canonical(ORDINARY | {"source": "No"}), id="no source"),
        pytest.param(canonical(ORDINARY | {"market": {}}), id="an empty market"),
        pytest.param(
            canonical(ORDINARY).replace(b'"change1h"', b' "change1h"'),
            id="spaces in a market",
        ),
    ],
)
def test_odd_json_is_judged_as_the_model_judges_it(value: bytes) -> None:
    agree(KEY, value)


@pytest.mark.parametrize("key", [None, b"", b".stx", KEY + b"x", KEY.lower()])
def test_a_price_under_another_key_is_refused(key: bytes | None) -> None:
    assert agree(key, canonical(ORDINARY)) == Refused(Reason.SCHEMA, "key")


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(read_price, id="price"),
        pytest.param(read_balance, id="balance"),
        pytest.param(read_token, id="token"),
    ],
)
def test_a_tombstone_is_refused(read: Any) -> None:
    assert read(Record(0, 1, KEY, None)) == Refused(Reason.SCHEMA, "")


@pytest.mark.parametrize(
    ("read", "event", "key"),
    [
        pytest.param(read_balance, reading(5), reading(5).user_id, id="balance"),
        pytest.param(read_token, token(at=5), ALPHA, id="token"),
    ],
)
def test_other_observations_are_read_by_their_models(
    read: Any, event: Any, key: str
) -> None:
    value = encode(event)
    seen = read(Record(3, 1, key.encode(), value))
    assert seen == Seen(5, event, 3, value)
    assert read(Record(3, 1, b"other", value)) == Refused(Reason.SCHEMA, "key")
    assert read(Record(3, 1, key.encode(), b"{}")).reason is Reason.SCHEMA
