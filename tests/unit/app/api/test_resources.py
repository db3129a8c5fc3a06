"""Which resources are described, under all their names."""

import pytest

from app.api.resources import party_paths, told_paths


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/parties/prices/{room}", "PricesBody"),
        ("/party/{room}", "PricesBody"),
        ("/prices", "PricesBody"),
        ("/balances", "BalancesBody"),
    ],
)
def test_a_party_has_the_same_answer_under_each_of_its_names(
    path: str, schema: str
) -> None:
    item = party_paths()[path]
    assert f"'#/components/schemas/{schema}'" in str(item["get"]["responses"]["200"])
    assert ("parameters" in item) is ("{room}" in path)


def test_each_party_has_its_own_filter() -> None:
    paths = party_paths()
    for path, name in (("/prices", "Tokens"), ("/balances", "Users")):
        assert f"#/components/parameters/{name}" in str(paths[path]["get"])


def test_what_a_proxy_and_an_operator_ask_is_there() -> None:
    assert {"/", "/health/live", "/health/ready", "/metrics"} <= told_paths().keys()
