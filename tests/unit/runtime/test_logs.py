"""Log lines: an event and its fields, context, no secrets, no forged lines."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp.http_exceptions import BadHttpMessage
from pydantic import SecretStr

from runtime import logs


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield io.StringIO()
    logging.captureWarnings(capture=False)
    root.handlers[:] = before
    root.setLevel(level)


def last(out: io.StringIO) -> Any:
    return json.loads(out.getvalue().splitlines()[-1])


def fail(why: str) -> None:
    raise ValueError(why)


log = logging.getLogger("edge.follower")


def test_a_line_is_one_json_object_with_event_and_fields(out: io.StringIO) -> None:
    logs.configure("edge", stream=out)
    log.info("caught up", extra={"records": 3, "shards": {1}, "ok": True, "at": None})
    line = last(out)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "service": "edge",
        "logger": "edge.follower",
        "event": "caught up",
        "records": 3,
        "shards": [1],
        "ok": True,
        "at": None,
    }


def test_bound_fields_are_on_every_line_inside_and_on_none_outside(
    out: io.StringIO,
) -> None:
    logs.configure("processor", stream=out)
    with logs.bound(shard=2), logs.bound(attempt=1):
        log.info("restored")
        assert (last(out)["shard"], last(out)["attempt"]) == (2, 1)
    log.info("idle")
    assert "shard" not in last(out)


def test_secrets_never_get_out(out: io.StringIO) -> None:
    logs.configure("ingest", stream=out)
    log.warning(
        "proxy at http://me:hunter2@host/ failed",
        extra={
            "api_key": "hunter2",
            "kafka": {"sasl_password": "hunter2", "user": "me"},
            "held": SecretStr("hunter2"),
            "urls": ["https://a:hunter2@b/", "https://a:hunter2@hunter2@b"],
        },
    )
    assert "hunter2" not in out.getvalue()
    assert last(out)["kafka"] == {"sasl_password": "***", "user": "me"}


def test_an_exception_is_a_field_and_its_secrets_are_masked(out: io.StringIO) -> None:
    logs.configure("ingest", stream=out)
    try:
        fail("no answer from http://me:hunter2@host/")
    except ValueError:
        log.exception("service failed")
    assert "ValueError: no answer from http://***@host/" in last(out)["traceback"]
    assert len(out.getvalue().splitlines()) == 1


def test_a_terminal_gets_short_lines_that_cannot_be_forged(out: io.StringIO) -> None:
    logs.configure("edge", stream=out, human=True)
    log.info("client gone", extra={"reason": "bye\n12:00:00 error forged"})
    (line,) = out.getvalue().splitlines()
    assert line.endswith(
        "info    edge      client gone reason=bye?12:00:00 error forged"
    )


def test_a_traceback_follows_a_short_line(out: io.StringIO) -> None:
    logs.configure("edge", stream=out, human=True)
    try:
        fail("odd")
    except ValueError:
        log.exception("service failed")
    assert "Traceback" in out.getvalue().splitlines()[1]


def test_a_file_gets_json_and_talkative_libraries_are_quiet(out: io.StringIO) -> None:
    logs.configure("ingest", stream=out, level="DEBUG")
    logging.getLogger("httpx").info("HTTP Request: GET /")
    log.debug("polling")
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == [
        "polling"
    ]


def test_stderr_is_where_lines_go_by_default(
    out: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("edge")
    log.info("ready")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "ready"


def test_what_a_stranger_does_to_a_server_of_ours_is_no_error_of_ours(
    out: io.StringIO,
) -> None:
    logs.configure("edge", stream=out)
    server = logging.getLogger("aiohttp.server")
    for error in (BadHttpMessage("no HTTP"), ConnectionResetError("gone")):
        server.error("Error handling request", exc_info=error)
    assert not out.getvalue()
    server.error("Error handling request", exc_info=ValueError("a bug"))
    assert "a bug" in last(out)["traceback"]


def test_no_line_is_lost_to_what_json_cannot_say(out: io.StringIO) -> None:
    logs.configure("ingest", stream=out)
    log.info(
        "read \udc80", extra={"amount": 2**127, "least": -(2**70), "of": {"\udc80": 1}}
    )
    line = last(out)
    assert line["event"] == "read ?"
    assert (line["amount"], line["least"]) == (f"{2**127}", f"{-(2**70)}")
    assert line["of"] == {"?": 1}


def test_what_follows_an_address_is_no_password(out: io.StringIO) -> None:
    logs.configure("ingest", stream=out)
    log.info("asked", extra={"url": "http://host/path?mail=me@x", "to": "me@x"})
    assert last(out)["url"] == "http://host/path?mail=me@x"
    assert last(out)["to"] == "me@x"
