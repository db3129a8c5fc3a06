"""The common parts of answers lead to what is declared."""

from app.api.answers import ANSWERS, HEADERS, PARAMETERS, answer, headers, parameter


def test_references_are_of_what_is_declared() -> None:
    assert answer("Unavailable")["$ref"].rpartition("/")[2] in ANSWERS
    assert parameter("Tokens")["$ref"].rpartition("/")[2] in PARAMETERS
    (reference,) = headers("ETag").values()
    assert reference["$ref"].rpartition("/")[2] in HEADERS
