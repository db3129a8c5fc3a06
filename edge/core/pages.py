"""Pages: bytes that change with the program alone, and what is said beside them."""

import gzip
import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import blake2b, sha256
from typing import NamedTuple

from edge.core.etags import matches
from edge.core.negotiation import prefers_gzip
from edge.core.origins import ANY_ORIGIN, EXPOSED

_BLOCKS = re.compile(r"<(script|style)\b[^>]*>(.*?)</\1>", re.DOTALL)
_DIGEST_BYTES = 12


class Page(NamedTuple):
    """A page in both encodings, with the headers it always has."""

    body: bytes
    packed: bytes
    tag: str
    headers: Mapping[str, str]


class Answer(NamedTuple):
    """What a request for a page is answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


def html(body: bytes) -> Page:
    """Return a page for people, which may run and load nothing but what stands in it."""
    return _page(
        body,
        {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": policy(body.decode()),
            "Referrer-Policy": "no-referrer",
        },
    )


def json_document(body: bytes) -> Page:
    """Return a document for programs, which those of any origin may read."""
    return _page(
        body,
        {
            "Content-Type": "application/json",
            "Access-Control-Allow-Origin": ANY_ORIGIN,
            "Access-Control-Expose-Headers": EXPOSED,
        },
    )


def policy(text: str) -> str:
    """Return the content security policy of a page: its own blocks, and its own edge."""
    allowed: dict[str, list[str]] = {"script": [], "style": []}
    for kind, block in _BLOCKS.findall(text):
        digest = b64encode(sha256(block.encode()).digest()).decode()
        allowed[kind].append(f"'sha256-{digest}'")
    blocks = {kind: " ".join(sums) or "'none'" for kind, sums in allowed.items()}
    return (
        f"default-src 'none'; script-src {blocks['script']}; "
        f"style-src {blocks['style']}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def answer(
    page: Page, *, accept_encoding: str | None, if_none_match: str | None
) -> Answer:
    """Answer one request; the body is there for HEAD too, whoever sends it leaves it out."""
    if matches(if_none_match, page.tag):
        kept = {k: v for k, v in page.headers.items() if k != "Content-Type"}
        return Answer(304, kept)
    if prefers_gzip(accept_encoding):
        return Answer(200, {**page.headers, "Content-Encoding": "gzip"}, page.packed)
    return Answer(200, page.headers, page.body)


def _page(body: bytes, headers: Mapping[str, str]) -> Page:
    # One tag for both encodings, so a weak one.
    tag = f'W/"{blake2b(body, digest_size=_DIGEST_BYTES).hexdigest()}"'
    always = {
        "ETag": tag,
        "Cache-Control": "no-cache",
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    return Page(body, gzip.compress(body, mtime=0), tag, {**headers, **always})
