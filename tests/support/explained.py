"""A log of lists asked why: with an index of it in memory, brought up to date."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from audit.core.explained import Explanation
from audit.core.subjects import Key, subject_in
from audit.explain import explain
from audit.index import open_index
from audit.indexing import extend_index
from audit.refolding import Asked
from processor.core.generations import GENERATIONS, Generations
from schemas.topics import JOURNAL
from tests.support.audited import SHARD
from tests.support.list_log import ListLog

LOG_ID = "0123456789abcdef" * 2


@asynccontextmanager
async def asking(
    log: ListLog,
    *,
    path: Path | None = None,
    generations: Generations = GENERATIONS,
    shard: int = SHARD,
) -> AsyncIterator[Asked]:
    with open_index(path, log_id=LOG_ID) as index:
        await extend_index(log.as_log(), index, shard)
        yield Asked(log.as_log(), index, shard, generations)


def a_key(text: str | bytes) -> Key:
    subject = subject_in(text if isinstance(text, str) else text.decode())
    assert isinstance(subject, Key)
    return subject


async def why(
    log: ListLog,
    key: str | bytes,
    *,
    commit: int | None = None,
    generations: Generations = GENERATIONS,
) -> Explanation:
    """Explain a key after a commit, or after the last one."""
    last = len(log.of(JOURNAL, SHARD)) if commit is None else commit
    async with asking(log, generations=generations) as asked:
        return await explain(asked, a_key(key), commit=last)
