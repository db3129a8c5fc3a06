"""Pages: what a browser may do with one, and what a request for one is answered."""

import gzip
from base64 import b64encode
from hashlib import sha256

import pytest

from edge.core.pages import Answer, Page, answer, html, json_document, policy

BODY = b"<html><style>p{}</style><script type='module'>run();</script></html>"


def asked(page: Page, *, encoding: str | None = None, tag: str = "") -> Answer:
    return answer(page, accept_encoding=encoding, if_none_match=tag or None)


def directive(name: str, text: str) -> str:
    (found,) = (each for each in text.split("; ") if each.startswith(f"{name} "))
    return found.removeprefix(f"{name} ")


@pytest.mark.parametrize(
    ("name", "block"), [("script-src", b"run();"), ("style-src", b"p{}")]
)
def test_a_page_may_run_what_stands_in_it(name: str, block: bytes) -> None:
    digest = b64encode(sha256(block).digest()).decode()
    assert directive(name, policy(BODY.decode())) == f"'sha256-{digest}'"


def test_a_page_may_do_nothing_else() -> None:
    found = policy("<p>still</p>")
    assert directive("default-src", found) == "'none'"
    assert directive("script-src", found) == "'none'"
    assert directive("connect-src", found) == "'self'"
    assert "unsafe" not in found


def test_a_page_says_what_it_may() -> None:
    found = asked(html(BODY))
    assert (found.status, found.body) == (200, BODY)
    assert found.headers["Content-Security-Policy"] == policy(BODY.decode())
    assert found.headers["Content-Type"] == "text/html; charset=utf-8"


def test_a_document_may_be_read_by_pages_of_any_origin() -> None:
    found = asked(json_document(b"{}"))
    assert found.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Origin" not in asked(html(BODY)).headers


def test_who_has_it_gets_no_body_again() -> None:
    page = html(BODY)
    tag = asked(page).headers["ETag"]
    found = asked(page, tag=tag)
    assert (found.status, found.body, found.headers["ETag"]) == (304, b"", tag)
    assert "Content-Type" not in found.headers
    assert asked(page, tag='"other"').status == 200
    assert asked(html(BODY + b"\n")).headers["ETag"] != tag


def test_it_is_compressed_for_who_wants_that() -> None:
    found = asked(html(BODY), encoding="gzip, br")
    assert gzip.decompress(found.body) == BODY
    assert found.headers["Content-Encoding"] == "gzip"
    assert found.headers["Vary"] == "Accept-Encoding"
    assert html(BODY) == html(BODY)
