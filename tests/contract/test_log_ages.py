"""How old records are, as the retention of a log counts it."""

import pytest

from eventlog.port import EventLog, Partition, UnknownTopic
from tests.support.logs import RAW, entry, now_ms, raw, read_one

AT = raw(0)
HOUR_MS = 3_600_000


async def test_a_record_is_at_least_as_old_as_those_that_follow_it(
    log: EventLog,
) -> None:
    for text in "abc":
        await log.append(RAW.name, [(0, entry(text))])
    now = now_ms() + HOUR_MS
    ages = [(await log.ages({AT: offset}, now_ms=now))[AT] for offset in range(3)]
    assert ages == sorted(ages, reverse=True)
    times = [record.time_ms for record in await read_one(log, AT)]
    assert [ages[0] - age for age in ages] == [each - times[0] for each in times]


async def test_partitions_without_a_record_there_have_no_age(log: EventLog) -> None:
    await log.append(RAW.name, [(0, entry("a"))])
    asked = {AT: 1, raw(1): 0}
    assert await log.ages(asked, now_ms=now_ms()) == {}
    assert (await log.ages({AT: 0, raw(1): 0}, now_ms=now_ms())).keys() == {AT}
    assert await log.ages({}, now_ms=now_ms()) == {}


async def test_ages_of_what_does_not_exist_name_the_topic(log: EventLog) -> None:
    with pytest.raises(UnknownTopic) as caught:
        await log.ages({Partition("nowhere", 0): 0}, now_ms=now_ms())
    assert caught.value.topic == "nowhere"
