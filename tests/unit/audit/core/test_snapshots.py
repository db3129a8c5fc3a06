"""Snapshots as bytes: what comes back is what was held, or it is refused."""

from collections.abc import Sequence

import orjson
import pytest

from audit.core.difference import Check
from audit.core.snapshots import (
    Damaged,
    Loading,
    can_start,
    chunks_of,
    damage,
    difference_in,
    digest_of,
)
from audit.core.table import Row, Standing, new_standing
from audit.core.verify import Verifier
from processor.core.generations import GENERATIONS
from schemas.base import Malformed, canonical, decoder, encode
from schemas.snapshots import (
    MAX_CHUNK_BYTES,
    Snapshot,
    SnapshotChunk,
    header_in,
    part_in,
)
from tests.support.audited import SHARD, a_history, reads

ID = "ab" * 16
_chunk = decoder(SnapshotChunk)


def standing() -> Standing:
    held = new_standing(SHARD)
    verifier = Verifier(held, GENERATIONS)
    for read in reads(a_history()):
        verifier.check(read)
    return held


def header_of(held: Standing, chunks: Sequence[bytes]) -> Snapshot:
    position, digest = held.state.position, digest_of(held)
    return Snapshot(
        id=ID,
        shard=held.state.shard,
        commit=position.commit,
        generation=1,
        log_time=position.log_time,
        chain=position.chain,
        places={"journal": 10, **position.positions},
        first=0,
        chunks=len(chunks),
        states=digest.states,
        rows=digest.rows,
        observations=held.observations,
        sha256=digest.sha256,
    )


def loaded(header: Snapshot, chunks: Sequence[bytes | None]) -> Standing:
    loading = Loading(header)
    for chunk in chunks:
        loading.add(chunk)
    return loading.end()


def large(held: Standing) -> Standing:
    """Let a standing have more rows than a chunk takes."""
    for number in range(30):
        value = canonical({"text": "x" * (MAX_CHUNK_BYTES // 10)})
        held.table[b"price:%d" % number] = Row(value, 1)
    held.table[b"price:all"] = Row(b"y" * (MAX_CHUNK_BYTES + 1), 1)
    return held


def test_what_is_read_is_what_was_held() -> None:
    held = standing()
    chunks = list(chunks_of(held, ID))
    back = loaded(header_of(held, chunks), chunks)
    assert dict(back.state.records()) == dict(held.state.records())
    assert back.state.position == held.state.position
    assert (back.table, back.observations) == (held.table, held.observations)


def test_chunks_are_canonical_sorted_and_of_bounded_size() -> None:
    chunks = list(chunks_of(large(standing()), ID))
    assert len(chunks) > 3
    keys = []
    for part, chunk in enumerate(chunks):
        said = _chunk(chunk)
        assert not isinstance(said, Malformed)
        assert encode(said) == chunk
        assert said.part == part
        items = len(said.states) + len(said.rows)
        assert len(chunk) < MAX_CHUNK_BYTES + 1_024 or items == 1
        keys += [(0, key) for key, _ in said.states]
        keys += [(1, key) for key, _, _ in said.rows]
    assert keys == sorted(keys)


def test_a_large_one_comes_back_too() -> None:
    held = large(standing())
    chunks = list(chunks_of(held, ID))
    assert loaded(header_of(held, chunks), chunks).table == held.table


def test_what_stands_between_its_chunks_is_ignored() -> None:
    held = standing()
    chunks = list(chunks_of(held, ID))
    others = list(chunks_of(held, "cd" * 16))
    assert loaded(header_of(held, chunks), [*others, None, *chunks]).table == held.table


def test_a_missing_chunk_is_noticed() -> None:
    held = large(standing())
    chunks = list(chunks_of(held, ID))
    header = header_of(held, chunks)
    with pytest.raises(Damaged, match="chunk 1 is missing"):
        loaded(header, [chunks[0], *chunks[2:]])
    with pytest.raises(Damaged, match=f"chunks, not {len(chunks)}"):
        loaded(header, chunks[:-1])


def test_another_content_is_noticed() -> None:
    held = standing()
    chunks = list(chunks_of(held, ID))
    header = header_of(held, chunks)
    bent = [chunk.replace(b"observedAt", b"ObservedAt") for chunk in chunks]
    with pytest.raises(Damaged, match="not that of its hash"):
        loaded(header, bent)
    with pytest.raises(Damaged, match="another commit"):
        loaded(header.model_copy(update={"commit": 3}), chunks)


@pytest.mark.parametrize(
    "said",
    [
        {"sha256": "0" * 64},
        {"chain": "0" * 64},
        {"states": 0},
        {"rows": 0},
        {"log_time": 0},
        {"observations": 0},
        {"places": {}},
    ],
    ids=lambda said: next(iter(said)),
)
def test_a_header_that_says_otherwise_differs(said: dict[str, object]) -> None:
    held = standing()
    header = header_of(held, list(chunks_of(held, ID)))
    places = header.places
    assert difference_in(header, held, places, offset=9) is None
    wrong = header.model_copy(update=said)
    found = difference_in(wrong, held, places, offset=9)
    assert found is not None
    assert (found.check, found.offset) == (Check.SNAPSHOT, 9)


def test_one_can_start_where_all_that_follows_is_held() -> None:
    held = standing()
    header = header_of(held, list(chunks_of(held, ID)))
    assert can_start(header, {"journal": 10, "prices.raw": 34})
    assert not can_start(header, {"journal": 11, "prices.raw": 0})
    assert not can_start(header, {"another": 1})


def test_damage_is_a_difference_at_the_header() -> None:
    held = standing()
    header = header_of(held, list(chunks_of(held, ID)))
    said = damage(header, Damaged("chunk 1 is missing"), offset=9)
    assert said.difference.offset == 9
    assert "chunk 1 is missing" in f"{said}"


def test_records_tell_what_they_are() -> None:
    held = large(standing())
    chunks = list(chunks_of(held, ID))
    header = header_of(held, chunks)
    assert header_in(encode(header)) == header
    assert header_in(chunks[0]) is None
    assert header_in(None) is None
    assert [part_in(chunk) for chunk in chunks] == list(range(len(chunks)))
    assert part_in(encode(header)) == part_in(None) == 0
    assert orjson.loads(chunks[0])["snapshot"] == ID
