"""Words for what no history of ours holds; `test_sentences.py` tries all others."""

from audit.core.alone import Observation
from audit.core.telling import observed_at, said_text
from eventlog.port import Record
from schemas.topics import CHANGES
from tests.support.audited import SHARD, a_history
from tests.support.folding import ALPHA


def test_an_observation_of_a_kind_that_has_no_words_is_something() -> None:
    class Unheard:
        source, observed_at = "a", 1

    seen = Observation("prices.raw", 1, Record(0, 0, None, b""), Unheard())
    assert said_text(seen, None) == "a said something at 1970-01-01 00:00:00.001Z"


def test_the_moment_of_a_value_is_that_of_its_newest_observation() -> None:
    change = a_history().of(CHANGES, SHARD)[0]
    assert observed_at(change.key or b"", change.value) == 1
    assert observed_at(change.key or b"", None) is None
    assert observed_at(b"price:" + ALPHA.encode(), b"{}") is None
