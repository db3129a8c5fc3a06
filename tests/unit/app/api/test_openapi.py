"""The OpenAPI document as a whole."""

from app.api.openapi import openapi


def test_it_describes_the_edge_that_serves_it() -> None:
    assert openapi()["servers"][0]["url"] == "/"


def test_every_operation_has_a_tag_that_is_explained() -> None:
    document = openapi()
    explained = {tag["name"] for tag in document["tags"]}
    methods = {"get", "head", "post", "options"}
    used = {
        tag
        for item in document["paths"].values()
        for method in methods & item.keys()
        for tag in item[method]["tags"]
    }
    assert used == explained
