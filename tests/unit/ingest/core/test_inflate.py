"""Bodies inflated piece by piece: the bytes are right, and never too many."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core.inflate import PIECE_BYTES, BadBody, Body

MIB = 1_048_576


def raw_deflate(content: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(content) + compressor.flush()


CODED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.compress,
    "X-GZIP": gzip.compress,
    "deflate": zlib.compress,
}


def drain(body: Body) -> None:
    while body.inflate():
        pass


def inflated(sent: bytes, codings: list[str], *, chunk: int, max_bytes: int) -> bytes:
    body = Body(codings, max_bytes=max_bytes)
    for at in range(0, len(sent), chunk):
        body.feed(sent[at : at + chunk])
        drain(body)
    return body.whole()


@pytest.mark.parametrize("coding", CODED)
@given(content=st.binary(max_size=300), chunk=st.integers(1, 100))
def test_a_body_is_the_same_in_any_coding_and_in_any_chunks(
    coding: str, content: bytes, chunk: int
) -> None:
    sent = CODED[coding](content)
    assert inflated(sent, [coding], chunk=chunk, max_bytes=MIB) == content


def test_deflate_without_its_wrapper_is_read_too() -> None:
    content = b"a body" * 100
    found = inflated(raw_deflate(content), ["deflate"], chunk=50, max_bytes=MIB)
    assert found == content


@pytest.mark.parametrize(
    ("codings", "why"),
    [
        (["gzip", "gzip"], "more than one"),
        (["gzip", "identity", "deflate"], "more than one"),
        (["br"], "not asked for"),
        (["zstd"], "not asked for"),
        (["gzip;q=1"], "not asked for"),
    ],
)
def test_other_codings_and_several_are_refused(codings: list[str], why: str) -> None:
    with pytest.raises(BadBody, match=why):
        Body(codings, max_bytes=MIB)


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"no gzip at all", "broken"),
        (gzip.compress(b"content" * 99)[:-9], "cut short"),
        (gzip.compress(b"one") + gzip.compress(b"two"), "follows"),
        (gzip.compress(b"one") + b"\x00" * 9, "follows"),
        (gzip.compress(b"one")[:-8] + b"\x00" * 8, "broken"),
    ],
    ids=["other bytes", "cut short", "two members", "padding", "a wrong checksum"],
)
def test_what_is_no_gzip_is_refused(sent: bytes, why: str) -> None:
    with pytest.raises(BadBody, match=why) as caught:
        inflated(sent, ["gzip"], chunk=1_000, max_bytes=MIB)
    assert not caught.value.large


def test_an_empty_body_has_no_coding_to_fit() -> None:
    assert inflated(b"", ["gzip"], chunk=1, max_bytes=MIB) == b""


@pytest.mark.parametrize("coding", CODED)
def test_a_body_may_be_as_large_as_the_limit_and_no_larger(coding: str) -> None:
    content = b"a" * 1_000
    sent = CODED[coding](content)
    limit = max(len(sent), len(content))
    assert inflated(sent, [coding], chunk=100, max_bytes=limit) == content
    with pytest.raises(BadBody, match="too large") as caught:
        inflated(sent, [coding], chunk=100, max_bytes=len(content) - 1)
    assert caught.value.large


def test_what_goes_in_is_bounded_though_nothing_comes_out() -> None:
    # Empty blocks: five bytes each that stand for nothing.
    sent = zlib.compress(b"")[:2] + b"\x00\x00\x00\xff\xff" * 1_000
    with pytest.raises(BadBody, match="too large"):
        inflated(sent, ["deflate"], chunk=100, max_bytes=1_000)


def test_a_bomb_takes_no_more_memory_than_the_limit_and_a_piece() -> None:
    bomb = gzip.compress(bytes(64 * MIB))
    body = Body(["gzip"], max_bytes=MIB)
    tracemalloc.start()
    try:
        body.feed(bomb)
        with pytest.raises(BadBody, match="too large"):
            drain(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * MIB + 2 * PIECE_BYTES
