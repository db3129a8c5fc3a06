"""Work on shards: planned by what was asked, the same in one process and in several."""

import argparse
import os
from functools import partial
from pathlib import Path

import pytest

from app.audits import Progress
from app.errors import OperatorError, RequestError
from app.shards import Job, on_shards, plan
from tests.support.folded import a_folded_file

LOG = {"log": "log.sqlite"}
ASKED = {"shard": None, "first": None, "last": None}


@pytest.fixture
def log(clean: Path) -> Path:
    return a_folded_file(Path("log.sqlite"))


def asked(**changed: object) -> argparse.Namespace:
    return argparse.Namespace(**{**ASKED, **changed})


def told(what: str, job: Job, progress: Progress) -> tuple[str, int, bool]:
    progress(1)
    return what, job.shard, os.getpid() == job.overrides.get("parent")


def failing(job: Job, progress: Progress) -> None:
    raise OperatorError(f"shard {job.shard} is out of order")


def test_all_shards_are_planned_unless_some_are_named(log: Path) -> None:
    whole = plan(LOG, asked())
    assert ([job.shard for job in whole.jobs], whole.observations) == ([0, 1, 2], 48)
    some = plan(LOG, asked(shard=[2, 0, 2], last="1970-01-02"))
    assert [(job.shard, job.range.last) for job in some.jobs] == [(0, 0), (2, 0)]
    with pytest.raises(RequestError, match="has the shards 0 to 2"):
        plan(LOG, asked(shard=[3]))


@pytest.mark.parametrize("processes", [1, 2])
def test_what_is_made_of_each_comes_in_their_order(log: Path, processes: int) -> None:
    planned = plan(LOG, asked())
    jobs = [job._replace(overrides={"parent": os.getpid()}) for job in planned.jobs]
    work = partial(told, "done")
    made = on_shards(
        work, planned._replace(jobs=jobs), processes=processes, doing="working"
    )
    assert made == [("done", shard, processes == 1) for shard in (0, 1, 2)]


@pytest.mark.parametrize("processes", [1, 2])
def test_what_fails_on_one_shard_is_said(log: Path, processes: int) -> None:
    planned = plan(LOG, asked())
    with pytest.raises(OperatorError, match="is out of order"):
        on_shards(failing, planned, processes=processes, doing="failing")
