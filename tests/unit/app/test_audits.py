"""What keeps an audit from its answer is told from an answer."""

import pytest

from app.audits import answering, bar
from app.errors import NotAnswered, OperatorError, RequestError, SettingsError
from audit.core.cuts import NotACut
from audit.errors import HistoryGone, WrongMoment
from eventlog.port import LogUnavailable
from processor.core.generations import UnknownGeneration
from processor.core.states import UnreadableState


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (NotACut("noon"), RequestError, 2),
        (WrongMoment("of another log"), RequestError, 2),
        (SettingsError("no"), SettingsError, 2),
        (OperatorError("no log"), NotAnswered, 3),
        (LogUnavailable("x", why="gone"), NotAnswered, 3),
        (HistoryGone("changes", 1, oldest=7), NotAnswered, 3),
        (UnknownGeneration(2, shard=0, commit=1), NotAnswered, 3),
        (UnreadableState(b"x", part=b"", field="key"), NotAnswered, 3),
        (PermissionError("not yours"), NotAnswered, 3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_trouble_has_an_exit_code_of_its_own(
    error: Exception, kind: type[OperatorError], code: int
) -> None:
    with pytest.raises(kind) as raised, answering():
        raise error
    assert raised.value.exit_code == code
    assert f"{error}" in f"{raised.value}"


def test_a_bug_stays_one() -> None:
    with pytest.raises(KeyError), answering():
        raise KeyError("bug")


def test_progress_is_shown_on_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("verifying", total=3) as step:
        step(3)
    assert capsys.readouterr().err == ""
