"""All that is told can be read by a program; `test_sentences.py` has the histories."""

from audit.core.alone import observed
from audit.core.plainly import observation
from eventlog.port import Record


def test_an_observation_without_bytes_has_none() -> None:
    plain = observation(observed("prices.raw", 1, Record(3, 7, b"k", None)))
    assert plain["bytes"] is None
    assert plain["said"] is None
    assert (plain["offset"], plain["appendTime"]) == (3, 7)
