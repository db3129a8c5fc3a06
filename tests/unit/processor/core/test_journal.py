"""Hashes of a commit: by hand, as the schema describes them."""

from hashlib import sha256

from eventlog.port import Record
from processor.core.journal import input_range, link, output_digest
from schemas.base import encode
from schemas.journal import GENESIS, Commit, FoldSettings, OutputDigest

NONE = b"\xff\xff\xff\xff"


def test_an_input_is_hashed_with_its_place_its_key_and_its_value() -> None:
    records = [Record(258, 1, b"ab", b"c"), Record(260, 2**40, None, None)]
    framed = (
        bytes([0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 1])
        + b"\0\0\0\2ab\0\0\0\1c"
        + bytes([0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 1, 0, 0, 0, 0, 0])
        + NONE
        + NONE
    )
    found = input_range(records, start=200)
    assert (found.start, found.end, found.count) == (200, 261, 2)
    assert found.sha256 == sha256(framed).hexdigest()


def test_a_hash_does_not_show_that_it_was_made_in_pieces() -> None:
    records = [Record(n, n, b"k", b"v") for n in range(1_234)]
    framed = b"".join(
        n.to_bytes(8) + n.to_bytes(8) + b"\0\0\0\1k\0\0\0\1v" for n in range(1_234)
    )
    assert input_range(records, start=0).sha256 == sha256(framed).hexdigest()


def test_outputs_are_hashed_by_key_and_value_in_order() -> None:
    found = output_digest([(b"ab", b"c"), (b"", None), (None, b"")])
    framed = b"\0\0\0\2ab\0\0\0\1c" + b"\0\0\0\0" + NONE + NONE + b"\0\0\0\0"
    assert found == OutputDigest(count=3, sha256=sha256(framed).hexdigest())


def test_the_chain_is_over_the_bytes_of_the_record() -> None:
    nothing = output_digest([])
    record = Commit(
        shard=0,
        commit=1,
        log_time=5,
        inputs={},
        decisions={},
        published=nothing,
        rejects=nothing,
        settings=FoldSettings(),
        generation=1,
        previous=GENESIS,
    )
    assert link(record) == sha256(encode(record)).hexdigest()
