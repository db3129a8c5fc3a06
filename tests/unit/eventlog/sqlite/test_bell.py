"""Waking across handles: stale sockets, deep directories, and no sockets at all."""

import asyncio
from contextlib import closing
from pathlib import Path

from eventlog.port import Cleanup, Partition, TopicSpec
from eventlog.sqlite import SqliteConfig, open_sqlite
from eventlog.sqlite.bell import Bell
from tests.support.logs import LONG_S, append, next_records, now_ms, texts

RAW = TopicSpec("raw", 1, Cleanup(compact=False, retention_ms=None))
PART = Partition("raw", 0)


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


async def rung(ringer: Bell, listener: Bell, numbers: frozenset[int]) -> None:
    """Ring, and wait until one who listens for 7 has heard it."""
    heard = asyncio.Event()
    with listener.listening([7], heard.set):
        ringer.ring(numbers)
        async with asyncio.timeout(LONG_S):
            await heard.wait()


async def test_a_bell_is_heard_here_and_by_others(tmp_path: Path) -> None:
    with closing(Bell(tmp_path)) as one, closing(Bell(tmp_path)) as two:
        await rung(one, one, frozenset({7}))
        await rung(one, two, frozenset({7, 8}))
        await rung(one, two, frozenset(range(5_000)))


async def test_who_waits_for_something_else_is_not_woken(tmp_path: Path) -> None:
    with closing(Bell(tmp_path)) as one, closing(Bell(tmp_path)) as two:
        woken: list[int] = []
        with two.listening([1], lambda: woken.append(1)):
            one.ring(frozenset({2}))
            await rung(one, two, frozenset({7}))
        assert woken == []


async def test_a_bell_that_nobody_holds_is_removed(tmp_path: Path) -> None:
    with closing(Bell(tmp_path)) as left:
        (name,) = names_in(tmp_path)
        (tmp_path / name).rename(tmp_path / "stale")
    assert left.deaf
    assert names_in(tmp_path) == ["stale"]
    with closing(Bell(tmp_path)) as one:
        one.ring(frozenset({1}))
        (name,) = names_in(tmp_path)
        assert name != "stale"
    assert names_in(tmp_path) == []


async def test_a_bell_that_does_not_listen_any_more_holds_nobody_up(
    tmp_path: Path,
) -> None:
    with closing(Bell(tmp_path)) as one, closing(Bell(tmp_path)):
        for _ in range(10_000):
            one.ring(frozenset({1}))  # no turn of the loop: nobody empties the queue


async def test_a_path_of_any_length_will_do(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 200)
    deep.mkdir()
    with closing(Bell(deep)) as one, closing(Bell(deep)) as two:
        assert not one.deaf
        await rung(one, two, frozenset({7}))


async def test_readers_look_by_themselves_where_there_can_be_no_socket(
    tmp_path: Path,
) -> None:
    config = SqliteConfig(tmp_path / "log", now_ms=now_ms)
    config.bells.write_text("not a directory")
    async with open_sqlite(config) as log, open_sqlite(config) as other:
        await log.create([RAW])
        async with log.reader({PART: 0}) as reader, asyncio.TaskGroup() as tasks:
            read = tasks.create_task(next_records(reader, PART), name="read")
            await append(other, PART, "news")
        assert texts(read.result()) == ["news"]


async def test_a_bell_can_be_rung_when_the_loop_is_gone(tmp_path: Path) -> None:
    def bell_of_a_closed_loop() -> Bell:
        async def made() -> Bell:
            with closing(Bell(tmp_path)) as bell:
                return bell

        return asyncio.run(made())

    bell = await asyncio.to_thread(bell_of_a_closed_loop)
    bell.ring(frozenset({1}))
    bell.close()
