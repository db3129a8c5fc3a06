"""Whatever is extended in whatever steps, the index is that of the whole log."""

from audit.index import Index, open_index
from audit.indexing import INDEXED, extend_index
from eventlog.port import Partition
from schemas.topics import CHANGES, JOURNAL
from tests.support.audited import SHARD, Writing, a_history, observations
from tests.support.explained import LOG_ID
from tests.support.list_log import ListLog


def by_key(log: ListLog, topic: str) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = {}
    for record in log.of(topic, SHARD):
        found.setdefault(record.key or b"", []).append(record.offset)
    return found


def check(log: ListLog, index: Index) -> None:
    for topic in set(INDEXED) - {JOURNAL}:
        for key, offsets in by_key(log, topic).items():
            assert index.offsets(topic, SHARD, key) == offsets


async def test_a_log_is_indexed_as_it_grows() -> None:
    log = ListLog(SHARD + 1)
    writing = Writing(log)
    told: list[int] = []
    with open_index(None, log_id=LOG_ID) as index:
        for event in observations():
            writing.observe([event])
            writing.fold()
            await extend_index(log.as_log(), index, SHARD, progress=told.append)
            check(log, index)
    assert sum(told) == sum(len(log.of(topic, SHARD)) for topic in INDEXED)


async def test_what_retention_took_is_not_indexed() -> None:
    log = a_history()
    del log.of(CHANGES, SHARD)[:4]
    log.dropped[Partition(CHANGES, SHARD)] = 4
    with open_index(None, log_id=LOG_ID) as index:
        await extend_index(log.as_log(), index, SHARD)
        check(log, index)


async def test_another_who_extends_it_meanwhile_is_no_trouble() -> None:
    log = a_history()

    class Slow(Index):
        """Looks away between asking how far it is and writing."""

        def next_of(self, topic: str, shard: int) -> tuple[int, str]:
            found = super().next_of(topic, shard)
            if found[0] == 0 and not self._db.in_transaction and topic == CHANGES:
                self.add(topic, shard, {b"x": [0]}, before=0, after=1)
            return found

    with open_index(None, log_id=LOG_ID) as index:
        slow = Slow(index._db)
        await extend_index(log.as_log(), slow, SHARD)
        assert index.next_of(CHANGES, SHARD)[0] == log.of(CHANGES, SHARD)[-1].offset + 1
