"""Rows of files of history: read as what was meant, or refused with a reason."""

import json
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core.history_rows import (
    EARLIEST_MS,
    HistoryRow,
    Layout,
    Order,
    RefusedRow,
    RowReader,
    RowRules,
    Severity,
    Time,
    TimeUnit,
    float_text,
)
from schemas.balances import (
    AccountConfirmed,
    AccountRead,
    Holding,
    SubnetRead,
    UserForgotten,
)
from schemas.base import Event, encode
from schemas.ids import ContractId, Network, UserId
from schemas.prices import Market, PriceObserved
from schemas.tokens import TokenFields, TokenObserved

ANN = UserId("SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS")
A, B = ContractId(f"{ANN}.a"), ContractId(f"{ANN}.b")
OF_TESTNET = "ST24RDNDBQ7NVQ3431XANDY0G1E7NSJG0RCCD4WRZ"
AT = 1_606_780_800_123
NOW = 1_800_000_000_000
_WIDE = {ord("0") + n: 0xFF10 + n for n in range(10)}
FULL_WIDTH = "12.5".translate(_WIDE)
PRICE = PriceObserved(contract_id=A, source="x", usd="1.5", observed_at=AT, sequence=2)


def rules(**changes: Any) -> RowRules:
    return RowRules(**{"network": Network.MAINNET, "latest_ms": NOW, **changes})


def prices(**changes: Any) -> RowReader:
    """A reader of rows of prices."""
    reader = RowReader(rules(**changes))
    names = ["contractId", "source", "usd", "observedAt", "sequence"]
    assert reader.columns_refused(names) is None
    return reader


def cells(**changes: Any) -> dict[str, Any]:
    given = {"contractId": A, "source": "x", "usd": "1.50", "observedAt": f"{AT}"}
    return {**given, "sequence": "2", **changes}


def price_in(row: HistoryRow | RefusedRow) -> Any:
    assert isinstance(row, HistoryRow), row
    return json.loads(row.value)


def refused(row: HistoryRow | RefusedRow) -> RefusedRow:
    assert isinstance(row, RefusedRow), row
    return row


# ---- rows of prices


def test_a_row_is_a_record_of_the_price() -> None:
    row = prices().row(cells())
    assert row == HistoryRow("prices.raw", A.encode(), encode(PRICE), AT, Order(AT, 2))


@pytest.mark.parametrize(
    ("usd", "meant"),
    [
        ("1.50", "1.5"),
        (".25", "0.25"),
        ("25.", "25"),
        ("2.5e-7", "0.00000025"),
        ("1E+2", "100"),
        (1.5, "1.5"),
        (2, "2"),
        (Decimal("1.500"), "1.5"),
    ],
    ids=ascii,
)
def test_a_price_is_read_from_text_or_numbers(usd: Any, meant: str) -> None:
    assert price_in(prices().row(cells(usd=usd)))["usd"] == meant


@pytest.mark.parametrize(
    "usd",
    [
        *("1_000", FULL_WIDTH, "٣", "1 000", " 1", "1\n", "0,25", "+1", "-1", "1.2.3"),
        *("", "nan", "NaN", "inf", "0x1", "e5", ".", "0", "1e999", "9" * 70, "1" * 39),
        *(None, True, float("nan"), float("inf"), 0, -1, b"1", Decimal("1e999999999")),
    ],
    ids=ascii,
)
def test_what_is_no_price_is_refused_with_its_value(usd: Any) -> None:
    said = refused(prices().row(cells(usd=usd)))
    assert said.reason == "usd is not a price"
    assert 0 < len(said.value) <= 61
    assert said.severity is Severity.BAD


@pytest.mark.parametrize(
    ("said", "ms"),
    [
        (f"{AT}", AT),
        (f"{AT}.0", AT),
        (f"{AT}.", AT),
        (float(AT), AT),
        (Decimal(AT), AT),
        (AT, AT),
        (Time(AT), AT),
        ("2020-12-01T00:00:00.123Z", AT),
        ("2020-12-01 00:00:00.123", AT),
        ("2020-12-01 00:00:00.123456789 UTC", AT),
        ("2020-12-01T02:00:00.123+02:00", AT),
        ("2020-12-01T02:00:00.123 +0200", AT),
        ("2020-11-30T19:00:00.123-05:00", AT),
        ("2020-12-01T00:00Z", AT - 123),
    ],
    ids=ascii,
)
def test_a_time_is_read_in_each_usual_form(said: Any, ms: int) -> None:
    assert price_in(prices().row(cells(observedAt=said)))["observedAt"] == ms


@pytest.mark.parametrize(
    "said",
    [
        *(
            "",
            None,
            True,
            "yesterday",
            "2020-12-01",
            "1.6e12",
            "-5",
            f"{AT}".translate(_WIDE),
        ),
        *("2020-13-01T00:00:00Z", "2020-12-01T00:00:00+99:00", "1_606_780_800_123"),
        *(
            float("nan"),
            float("inf"),
            "9" * 40,
            [AT],
            datetime(2020, 12, 1, tzinfo=UTC),
        ),
    ],
    ids=ascii,
)
def test_what_is_no_time_is_refused(said: Any) -> None:
    row = refused(prices().row(cells(observedAt=said)))
    assert row.reason == "observedAt is not a time"


@pytest.mark.parametrize(
    ("said", "where"),
    [
        (0, "before 2009"),
        (EARLIEST_MS - 1, "before 2009"),
        (NOW + 1, "in the future"),
        (Time(EARLIEST_MS - 1), "before 2009"),
        ("2008-12-31T23:59:59Z", "before 2009"),
        ("9999-12-31T23:59:59Z", "in the future"),
        (10**24, "in the future"),
    ],
    ids=ascii,
)
def test_a_time_at_which_nothing_can_have_been_observed_is_refused(
    said: Any, where: str
) -> None:
    row = refused(prices().row(cells(observedAt=said)))
    assert row.reason == f"observedAt is {where}"
    assert row.severity is Severity.BAD


def test_the_first_and_the_last_time_there_may_be_are_taken() -> None:
    for moment in (EARLIEST_MS, NOW):
        assert price_in(prices().row(cells(observedAt=moment)))["observedAt"] == moment


UNITS = {
    TimeUnit.SECONDS: "1606780800.123",
    TimeUnit.MILLISECONDS: "1606780800123",
    TimeUnit.MICROSECONDS: "1606780800123999",
    TimeUnit.NANOSECONDS: "1606780800123999999",
}


@pytest.mark.parametrize("unit", TimeUnit)
def test_times_are_in_the_unit_that_is_named_cut_to_milliseconds(
    unit: TimeUnit,
) -> None:
    row = prices(unit=unit).row(cells(observedAt=UNITS[unit]))
    assert price_in(row)["observedAt"] == AT


@pytest.mark.parametrize("named", TimeUnit)
@pytest.mark.parametrize("found", TimeUnit)
def test_another_unit_than_the_named_one_is_told_by_its_name(
    named: TimeUnit, found: TimeUnit
) -> None:
    row = prices(unit=named).row(cells(observedAt=UNITS[found]))
    if named is found:
        assert isinstance(row, HistoryRow)
        return
    said = refused(row)
    assert (
        said.reason == f"observedAt looks like {found.in_words}, not {named.in_words}"
    )
    assert said.value == UNITS[found]
    assert said.severity is Severity.FATAL
    assert said.remedy == f"--unit {found.value} reads such times"


@pytest.mark.parametrize("unit", TimeUnit)
def test_the_unit_of_a_file_is_found_in_its_first_row(unit: TimeUnit) -> None:
    reader = prices(unit=None)
    # What is no time in any unit tells nothing, and a time as text needs no unit.
    assert refused(reader.row(cells(observedAt=5))).reason.endswith("before 2009")
    assert price_in(reader.row(cells(observedAt="2020-12-01T00:00:00Z")))
    assert {reader.unit} == {None}
    assert price_in(reader.row(cells(observedAt=UNITS[unit])))["observedAt"] == AT
    assert reader.unit is unit
    other = next(each for each in TimeUnit if each is not unit)
    said = refused(reader.row(cells(observedAt=UNITS[other])))
    assert said.reason == f"observedAt looks like {other.in_words}, not {unit.in_words}"
    assert said.remedy == "a file has one unit"


@given(st.integers(EARLIEST_MS, NOW), st.sampled_from(TimeUnit))
def test_a_time_is_plausible_in_one_unit_only(moment: int, unit: TimeUnit) -> None:
    number = Decimal(moment).scaleb({"s": -3, "ms": 0, "us": 3, "ns": 6}[unit.value])
    reader = prices(unit=None)
    assert price_in(reader.row(cells(observedAt=number)))["observedAt"] == moment
    assert reader.unit is unit


@pytest.mark.parametrize(
    ("said", "sequence"),
    [
        *(("5", 5), ("5.0", 5), (5.0, 5), ("", 0), (None, 0), (float("nan"), 0)),
        (Decimal("NaN"), 0),
    ],
    ids=ascii,
)
def test_a_sequence_may_be_a_whole_number_or_missing(said: Any, sequence: int) -> None:
    assert price_in(prices().row(cells(sequence=said)))["sequence"] == sequence


@pytest.mark.parametrize("said", ["-1", "5.5", "x", f"{2**53}", True, "1e2"], ids=ascii)
def test_what_is_no_sequence_is_refused(said: Any) -> None:
    row = refused(prices().row(cells(sequence=said)))
    assert row.reason == "sequence is not a count"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"contractId": "nothing"}, "contractId is not the id of a contract"),
        ({"contractId": None}, "contractId is not the id of a contract"),
        ({"contractId": f"{OF_TESTNET}.a"}, "not an id of mainnet"),
        ({"source": "Not A Name"}, "not a valid source"),
        ({"source": ""}, "not a valid source"),
        ({"source": None}, "not a valid source"),
        ({"source": 1}, "not a valid source"),
        ({"source": "\udcff"}, "not a valid source"),
    ],
)
def test_a_row_that_cannot_be_used_says_which_column(
    changes: dict[str, Any], reason: str
) -> None:
    assert refused(prices().row(cells(**changes))).reason == reason


def test_ids_are_written_in_their_normal_form() -> None:
    for said in ("stx", ".stx"):
        assert price_in(prices().row(cells(contractId=said)))["contractId"] == ".stx"
    row = prices().row(cells(contractId=f"{A}::coin"))
    assert price_in(row)["contractId"] == A


def test_what_is_shown_of_a_value_is_short_and_safe_to_print() -> None:
    for said in ("x" * 500, "\x1b[2J", b"\xff", "\ud800", 10**500, None, Time(-1)):
        row = refused(prices().row(cells(contractId=A, observedAt=said)))
        assert row.value.isprintable()
        assert 0 < len(row.value) <= 61


def test_a_value_nested_too_deep_to_be_shown_is_refused() -> None:
    # Near the limit a value can be parsed, and can no longer be written.
    for depth in range(800, 1_050):
        nested = "[" * depth + "]" * depth
        line = f'{{"contractId": {nested}, "source": "x", "usd": "1", "observedAt": 1}}'
        refused(prices().json_line(line.encode()))


# ---- names of columns


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["source", "x"], "lacks the columns contractId, usd, observedAt; it has 'source', 'x'"),
        (["contractId", "source", "usd"], "lacks the column observedAt; it has"),
        ([""], "lacks the columns contractId, source, usd, observedAt"),
        (["contractId", "contract_id", "source", "usd", "usd", "observedAt"], "has the columns contractId, usd more than once"),
        (["contractId", "source", "usd", "observedAt", "sequence", "sequence"], "has the column sequence more than once"),
        (["topic", "value", "key"], "lacks the columns shard, offset, appended_at"),
    ],
)  # fmt: skip
def test_all_that_is_wrong_with_the_columns_is_told_at_once(
    names: list[str], why: str
) -> None:
    said = RowReader(rules()).columns_refused(names)
    assert said is not None
    assert said.startswith(why)


def test_columns_may_be_named_as_an_export_names_them() -> None:
    reader = RowReader(rules())
    names = ["contract_id", "source", "usd", "observed_at"]
    assert reader.columns_refused(names) is None
    row = reader.row({"contract_id": A, "source": "x", "usd": 1, "observed_at": AT})
    assert price_in(row)["observedAt"] == AT


# ---- records


GONE = UserForgotten(user_id=ANN, observed_at=AT)
TOKEN = TokenObserved(
    contract_id=A, source="x", observed_at=AT, fields=TokenFields(base=B)
)
SUBNET = SubnetRead(
    user_id=ANN, subnet_id=A, base_id=B, source="x", observed_at=AT, balance="0"
)
READING = AccountRead(
    user_id=ANN,
    source="x",
    observed_at=AT,
    holdings=(Holding(contract_id=A, balance="1"),),
    others=(Holding(contract_id=B, balance="1"),),
)
CONFIRMED = AccountConfirmed(user_id=ANN, source="x", observed_at=AT, reading="a" * 64)
EVENTS = (PRICE, GONE, TOKEN, SUBNET, READING, CONFIRMED)


@pytest.mark.parametrize("seen", EVENTS)
def test_a_record_is_kept_byte_for_byte(seen: Event) -> None:
    spaced = encode(seen).replace(b":", b": ")
    row = RowReader(rules()).json_line(b" " + spaced + b"\r\n")
    assert isinstance(row, HistoryRow)
    assert (row.value, row.observed_at) == (spaced, AT)


@pytest.mark.parametrize(
    "said", ['"0.2000"', "0.2", "2e-1", '".2"'], ids=["zeros", "number", "exp", "text"]
)
def test_a_record_of_a_price_may_be_written_in_another_way(said: str) -> None:
    market = Market(change24h="1.5")
    seen = PRICE.model_copy(update={"usd": "0.2", "market": market})
    line = (
        encode(seen)
        .replace(b'"0.2"', said.encode())
        .replace(A.encode(), f"{A}::b".encode())
    )
    row = RowReader(rules()).json_line(line)
    assert isinstance(row, HistoryRow)
    assert row.value == encode(seen)


@pytest.mark.parametrize(
    ("line", "reason", "value"),
    [
        (b"{", "not a JSON object", "'{'"),
        (b"[1]", "not a JSON object", "'[1]'"),
        (b"\xff", "not a JSON object", None),
        (b'{"schema":"price/1"}', "not an observation, at the whole line", None),
        (b'{"nothing":1}', "not an observation, at the whole line", None),
        (
            encode(PRICE).replace(b'"1.5"', b'"x"'),
            "not an observation, at price.observed/1.usd",
            "'x'",
        ),
        (
            encode(PRICE).replace(b'"sequence":2', b'"sequence":-2'),
            "not an observation, at price.observed/1.sequence",
            "-2",
        ),
        (
            encode(READING).replace(b'"balance":"1"', b'"balance":"01"', 1),
            "not an observation, at account.read/1.holdings[].balance",
            "'01'",
        ),
        (
            encode(PRICE).replace(b'"sequence":2,', b"").replace(b'"source":"x",', b""),
            "not an observation, at price.observed/1.source",
            None,
        ),
    ],
)
def test_a_line_that_is_no_observation_says_where(
    line: bytes, reason: str, value: str | None
) -> None:
    row = refused(RowReader(rules()).json_line(line))
    assert row.reason == reason
    assert value is None or row.value == value


def test_a_line_that_tells_nothing_does_not_decide_the_layout() -> None:
    reader = RowReader(rules())
    reader.json_line(b"nonsense")
    assert reader.layout is None
    reader.json_line(json.dumps(cells()).encode())
    assert reader.layout is Layout.PRICES


@pytest.mark.parametrize(
    "said", ["1606780800", "1606780800123456", "1606780800123456789"]
)
def test_a_record_has_milliseconds_whatever_unit_is_named(said: str) -> None:
    line = encode(PRICE).replace(f"{AT}".encode(), said.encode())
    row = refused(RowReader(rules(unit=TimeUnit.MICROSECONDS)).json_line(line))
    if len(said) > 16:  # above what a record can hold
        assert row.reason.endswith("observedAt")
        return
    assert row.reason.startswith("observedAt looks like ")
    assert (row.severity, row.remedy) == (Severity.FATAL, "records have milliseconds")


@pytest.mark.parametrize("seen", EVENTS)
def test_an_id_of_another_network_is_refused_wherever_it_stands(seen: Event) -> None:
    reader = RowReader(rules(network=Network.TESTNET))
    row = refused(reader.json_line(encode(seen)))
    assert row.reason == "not an id of testnet"


@pytest.mark.parametrize(
    ("seen", "field"),
    [(SUBNET, "base_id"), (SUBNET, "subnet_id")],
)
def test_one_foreign_contract_is_enough(seen: Event, field: str) -> None:
    mixed = seen.model_copy(update={field: ContractId(f"{OF_TESTNET}.a")})
    row = refused(RowReader(rules()).json_line(encode(mixed)))
    assert row.value == repr(f"{OF_TESTNET}.a")


def test_a_token_of_no_base_is_of_its_own_network() -> None:
    plain = TOKEN.model_copy(update={"fields": TokenFields()})
    assert isinstance(RowReader(rules()).json_line(encode(plain)), HistoryRow)
    of_stx = PRICE.model_copy(update={"contract_id": ContractId(".stx")})
    reader = RowReader(rules(network=Network.TESTNET))
    assert isinstance(reader.json_line(encode(of_stx)), HistoryRow)


# ---- JSON objects of columns


def test_an_object_of_columns_keeps_all_digits_of_a_price() -> None:
    line = json.dumps(cells(usd="@")).replace('"@"', "0.1234567890123456789012345")
    row = RowReader(rules()).json_line(line.encode())
    assert price_in(row)["usd"] == "0.1234567890123456789012345"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"usd":1}', "contractId is not the id of a contract"),
        (b'{"usd":NaN}', "contractId is not the id of a contract"),
        (b'{"usd":1e99999999999999999999}', "not a JSON object"),
        (b"[" * 100_000, "not a JSON object"),
        (b'{"usd":' + b"9" * 5_000 + b"}", "not a JSON object"),
    ],
)
def test_a_strange_object_is_refused(line: bytes, reason: str) -> None:
    reader = RowReader(rules())
    reader.json_line(json.dumps(cells()).encode())
    assert refused(reader.json_line(line)).reason == reason


# ---- exports


def exported(record: bytes, **changes: Any) -> dict[str, Any]:
    given = {"topic": "prices.raw", "shard": 3, "offset": 17, "key": A}
    return {**given, "appended_at": AT, "value": record.decode(), **changes}


def exports(**changes: Any) -> RowReader:
    reader = RowReader(rules(**changes))
    assert reader.columns_refused(list(exported(b""))) is None
    return reader


@pytest.mark.parametrize("at", [AT, f"{AT}", Time(AT)], ids=ascii)
def test_a_record_of_an_export_keeps_its_place_in_the_order(at: Any) -> None:
    spaced = encode(PRICE).replace(b",", b", ")
    row = exports().row(exported(spaced, appended_at=at))
    assert row == HistoryRow("prices.raw", A.encode(), spaced, AT, Order(3, 17))
    line = json.dumps(exported(encode(TOKEN), topic="tokens.raw", offset="9"))
    row = RowReader(rules()).json_line(line.encode())
    assert isinstance(row, HistoryRow)
    assert row.order == Order((2 << 32) + 3, 9)


def test_times_of_an_export_are_those_that_its_log_took() -> None:
    old = PRICE.model_copy(update={"observed_at": 1})
    assert isinstance(exports().row(exported(encode(old))), HistoryRow)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (exported(b"nonsense"), "not an observation, at the whole line"),
        (exported(b""), "not an observation, at the whole line"),
        (exported(b"", value=None), "not an observation, at the whole line"),
        (exported(b"", value="\udcff"), "not an observation, at the whole line"),
        (exported(encode(PRICE), key=B), "a record under a key that is not its own"),
        (exported(encode(PRICE), key=None), "a record under a key that is not its own"),
        (
            exported(encode(PRICE), topic="tokens.raw"),
            "a record under a key that is not its own",
        ),
        (
            exported(encode(PRICE), appended_at=AT - 60_001),
            "from the future of the log that was exported",
        ),
    ],
)
def test_what_the_exported_log_refused_is_left_out(
    cells: Mapping[str, Any], reason: str
) -> None:
    row = refused(exports().row(cells))
    assert (row.reason, row.severity) == (reason, Severity.LEFT_OUT)


def test_the_future_of_an_exported_log_begins_after_its_tolerance() -> None:
    cells = exported(encode(PRICE), appended_at=AT - 60_000)
    assert isinstance(exports().row(cells), HistoryRow)
    assert isinstance(exports(future_tolerance_ms=59_999).row(cells), RefusedRow)


@pytest.mark.parametrize(
    ("cells", "reason", "severity"),
    [
        (exported(b"{}", topic="changes"), "not a record of a raw topic", Severity.FATAL),
        (exported(b"{}", topic=None), "not a record of a raw topic", Severity.FATAL),
        (exported(b"{}", shard="x"), "no shard, offset and appended_at of a record", Severity.BAD),
        (exported(b"{}", offset=-1), "no shard, offset and appended_at of a record", Severity.BAD),
        (exported(b"{}", appended_at=None), "no shard, offset and appended_at of a record", Severity.BAD),
        (exported(encode(PRICE).replace(f"{AT}".encode(), f"{NOW + 1}".encode()), appended_at=NOW), "observedAt is in the future", Severity.BAD),
    ],
)  # fmt: skip
def test_what_is_no_row_of_an_export_is_bad(
    cells: Mapping[str, Any], reason: str, severity: Severity
) -> None:
    row = refused(exports().row(cells))
    assert (row.reason, row.severity) == (reason, severity)


def test_an_export_of_another_network_is_bad() -> None:
    row = refused(exports(network=Network.TESTNET).row(exported(encode(PRICE))))
    assert row.reason == "not an id of testnet"


# ---- floats


@given(st.floats(width=32, min_value=2**-60, max_value=2**60))
def test_a_short_float_is_the_shortest_decimal_that_reads_back(number: float) -> None:
    text = float_text(number, code="f")
    assert struct.pack("f", float(text)) == struct.pack("f", number)
    digits = len(Decimal(text).normalize().as_tuple().digits)
    shorter = f"{number:.{digits - 1}g}" if digits > 1 else None
    if shorter is not None:
        assert struct.pack("f", float(shorter)) != struct.pack("f", number)


def test_floats_of_each_width() -> None:
    short = struct.unpack("f", struct.pack("f", 0.2426))[0]
    assert float_text(short, code="f") == "0.2426"
    half = struct.unpack("e", struct.pack("e", 0.1))[0]
    assert float_text(half, code="e") == "0.1"
    assert float_text(float("nan"), code="f") == "nan"
