"""Entity tags: a short text that is another one when the answer is.

A tag is made of places in the log, before the answer is built: of those records that can
change it, and of no others. The same records make the same tag on every edge. It is a weak
one, because every answer says what time it is.
"""

import re
from collections.abc import Iterable
from hashlib import blake2b

# Of what is made of the same records: to be raised whenever that is put in other words.
_WORDING = 1
_DIGEST_BYTES = 12
_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def etag(log: str, made_of: Iterable[str]) -> str:
    """Return the tag of an answer that follows from these records of a log, in this order."""
    digest = blake2b(digest_size=_DIGEST_BYTES)
    for each in made_of:
        digest.update(each.encode() + b"\n")
    return f'W/"{_WORDING}.{log}.{digest.hexdigest()}"'


def matches(if_none_match: str | None, tag: str) -> bool:
    """Tell whether a client has what a tag stands for; weak tags are good enough."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return tag.removeprefix("W/") in _TAG.findall(if_none_match)
