"""Fields that were added to records later: old records keep their bytes."""

import orjson

from schemas.base import decoder, encode
from schemas.tokens import TokenFields, TokenObserved

OLD = TokenObserved(
    contract_id="SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS.a",  # type: ignore[arg-type]
    source="charisma",
    observed_at=1_700_000_000_000,
    fields=TokenFields(name="A"),
)


def test_a_token_record_of_before_is_read_and_written_with_its_own_bytes() -> None:
    written = encode(OLD)
    assert b"lastUpdated" not in written
    assert decoder(TokenObserved)(written) == OLD
    assert encode(decoder(TokenObserved)(written)) == written


def test_the_moment_of_a_record_is_written_where_it_is_said() -> None:
    fields = TokenFields(name="A", last_updated=1_760_000_000_000)
    written = encode(OLD.model_copy(update={"fields": fields}))
    assert orjson.loads(written)["fields"]["lastUpdated"] == 1_760_000_000_000
    assert decoder(TokenObserved)(written).fields == fields
