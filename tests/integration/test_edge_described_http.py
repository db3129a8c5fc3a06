"""What HTTP answers is described: statuses, headers, bodies, events of streams."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from edge.config import Access, Allowances
from eventlog.port import EventLog
from schemas.latest import balance_key, price_key
from schemas.topics import LATEST
from tests.support.described import document, misfits
from tests.support.event_stream import streaming
from tests.support.serving import (
    ANNE,
    BOB,
    CHA,
    balance,
    price,
    put,
    serving,
    the_tokens,
    two_prices,
)

# What every HTTP server says.
OF_THE_TRANSPORT = {"connection", "content-length", "content-type", "date", "server"}
# Of pages for people.
OF_PAGES = {
    "content-security-policy",
    "referrer-policy",
}
PATHS = {
    "/prices": "/prices",
    "/parties/balances/main": "/parties/balances/{room}",
    "/party/x": "/party/{room}",
}


async def a_table(log: EventLog) -> None:
    await the_tokens(log)
    await two_prices(log)
    await balance(log, ANNE, CHA, 1_500_000, charisma_token_subnet_v1=5)
    await balance(log, BOB, CHA, 2**70)


def resolved(node: Any) -> Any:
    """Return what a reference leads to."""
    if "$ref" not in node:
        return node
    at = document("openapi")
    for step in node["$ref"].removeprefix("#/").split("/"):
        at = at[step]
    return at


def check(path: str, answer: httpx.Response) -> None:
    """Hold an answer to the description of the resource at ``path``."""
    item = document("openapi")["paths"][path]
    operation = item[answer.request.method.lower()]
    described = resolved(operation["responses"][f"{answer.status_code}"])
    named = {name.lower() for name in described.get("headers", {})}
    said = set(answer.headers.keys()) - OF_THE_TRANSPORT
    pages = OF_PAGES if path in {"/", "/openapi.json", "/asyncapi.json"} else set()
    assert said - named - pages == set()
    if answer.content:
        kind = answer.headers["content-type"].partition(";")[0]
        assert kind in described["content"]
        fits_the_schema(described["content"][kind]["schema"], answer)


def fits_the_schema(schema: Any, answer: httpx.Response) -> None:
    names = [
        each["$ref"].rpartition("/")[2]
        for each in schema.get("oneOf", [schema])
        if "$ref" in each
    ]
    if names:
        body = answer.json()
        assert any(misfits("openapi", name, body) == [] for name in names), body


@pytest.mark.parametrize("url", PATHS)
async def test_every_answer_of_a_party_is_described(tmp_path: Path, url: str) -> None:
    path = PATHS[url]
    async with serving(tmp_path, before=a_table) as running, running.http() as http:
        got = await http.get(url)
        cursor, tag = got.headers["feed-cursor"], got.headers["etag"]
        await price(running.log, CHA, "0.5", version=2)
        await balance(running.log, BOB, CHA, 7, version=2)
        await put(running.log, LATEST, balance_key(ANNE, CHA), None)
        await running.taken_in()
        changed = await http.get(url, params={"since": cursor})
        assert changed.json()["recovered"] is True
        other = cursor.replace("0" * 12, "1" * 12)
        everything = await http.get(url, params={"since": other})
        assert everything.json()["why"] == "other-log"
        now = (await http.get(url)).headers["etag"]
        assert now != tag
        kept = await http.get(url, headers={"If-None-Match": now})
        assert kept.status_code == 304
        wrong = await http.get(url, params={"since": "nonsense"})
        assert wrong.status_code == 400
        others = [await http.head(url), await http.post(url), await http.options(url)]
    for answer in (got, changed, everything, kept, wrong, *others):
        check(path, answer)


async def test_what_is_withdrawn_is_described(tmp_path: Path) -> None:
    async with serving(tmp_path, before=a_table) as running, running.http() as http:
        cursor = (await http.get("/prices")).headers["feed-cursor"]
        await put(running.log, LATEST, price_key(CHA), None)
        await running.taken_in()
        answer = await http.get("/prices", params={"since": cursor})
    assert CHA in {each["contractId"] for each in answer.json()["removed"]}
    check("/prices", answer)


@pytest.mark.parametrize("party", ["prices", "balances"])
async def test_every_event_of_a_stream_is_described(tmp_path: Path, party: str) -> None:
    path = f"/{party}"
    content = document("openapi")["paths"][path]["get"]["responses"]["200"]["content"]
    names = [
        each["$ref"].rpartition("/")[2]
        for each in content["text/event-stream"]["schema"]["contentSchema"]["items"][
            "anyOf"
        ]
    ]
    seen: set[str] = set()

    def note(message: Any) -> None:
        found = {each for each in names if misfits("openapi", each, message) == []}
        assert found, message
        seen.update(found)

    async with serving(tmp_path, before=a_table) as running:
        async with streaming(running, path) as stream:
            for message in await stream.until_id():
                note(message)
            await price(running.log, CHA, "0.5", version=2)
            await balance(running.log, ANNE, CHA, 7, version=2)
            note(await stream.next())
            cursor = stream.last_id
        await put(running.log, LATEST, balance_key(ANNE, CHA), None)
        await put(running.log, LATEST, price_key(CHA), None)
        await running.taken_in()
        async with streaming(running, f"{path}?since={cursor}") as stream:
            for message in await stream.until_id():
                note(message)
    assert seen == set(names)


async def test_everything_about_the_edge_is_described(tmp_path: Path) -> None:
    async with serving(tmp_path, before=two_prices) as running, running.http() as http:
        for path in ("/health/live", "/health/ready", "/metrics", "/"):
            check(path, await http.get(path))
        for path in ("/openapi.json", "/asyncapi.json"):
            got = await http.get(path)
            check(path, got)
            held = {"If-None-Match": got.headers["etag"]}
            check(path, await http.get(path, headers=held))


async def test_what_is_refused_is_described(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "access": Access(metrics_token="m", refresh_token="r"),
        "allowances": Allowances(ids_per_message=1, connections_each=1),
    }
    async with (
        serving(tmp_path, before=two_prices, **settings) as running,
        running.http() as http,
        running.http() as another,
    ):
        too_many = await http.get("/prices", params={"tokens": "a,b"})
        assert too_many.json()["error"] == "too-many-ids"
        check("/prices", too_many)
        for path, asked in (("/prices", http.post), ("/metrics", http.get)):
            answer = await asked(path)
            assert answer.status_code == 401
            check(path, answer)
        crowded = await another.get("/prices")
        assert crowded.status_code == 429
        check("/prices", crowded)


def test_an_answer_that_is_not_described_is_found() -> None:
    request = httpx.Request("GET", "http://edge/prices")
    strange = httpx.Response(200, headers={"x-strange": "1"}, request=request)
    with pytest.raises(AssertionError, match="x-strange"):
        check("/prices", strange)
