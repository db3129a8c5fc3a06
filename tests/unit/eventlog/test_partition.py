"""Key to partition: the hashes that Kafka's own clients compute."""

import pytest

from eventlog.partition import murmur2, partition_of


@pytest.mark.parametrize(
    ("key", "signed_hash"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
    ids=str,
)
def test_the_hash_is_that_of_kafkas_clients(key: bytes, signed_hash: int) -> None:
    assert murmur2(key) == signed_hash & 0xFFFFFFFF
    assert partition_of(key, 6) == (signed_hash & 0x7FFFFFFF) % 6
