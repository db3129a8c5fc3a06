"""GET that costs less: tags, compressed answers, and what changed since a cursor."""

import asyncio
import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge.config import Allowances
from edge.core.cursor import parse_cursor
from eventlog.port import EventLog
from schemas.base import encode
from schemas.ids import STX, ContractId
from schemas.latest import watermark_key
from schemas.log import Watermark
from schemas.topics import LATEST
from tests.support.serving import (
    ANNE,
    BOB,
    CHA,
    NOW_MS,
    WELSH,
    Serving,
    balance,
    demanded,
    price,
    prices,
    put,
    serving,
    the_tokens,
    two_prices,
    update_of,
)

VARY = "Accept, Accept-Encoding, Origin"
MANY = [ContractId(f"{BOB}.token-{number}") for number in range(600)]


async def a_table(log: EventLog) -> None:
    await two_prices(log)
    await the_tokens(log)
    await balance(log, ANNE, CHA, 1_500_000)


async def many(log: EventLog) -> None:
    await prices(log, MANY, "1")


def kept(answer: httpx.Response) -> tuple[str, ...]:
    names = "etag", "cache-control", "vary"
    return tuple(answer.headers[name] for name in names)


@pytest.mark.parametrize(
    ("path", "keeping"),
    [
        ("/prices", "no-cache"),
        (f"/prices?tokens={CHA}", "no-cache"),
        ("/balances", "private, no-cache"),
        (f"/balances?users={ANNE}", "private, no-cache"),
    ],
)
async def test_who_has_the_answer_is_told_so_until_it_is_another(
    tmp_path: Path, path: str, keeping: str
) -> None:
    async with serving(tmp_path, before=a_table) as edge, edge.http() as http:
        first = await http.get(path)
        assert kept(first)[1:] == (keeping, VARY)
        has = {"If-None-Match": f'"x", {first.headers["etag"]}'}
        mark = encode(Watermark(shard=0, log_time=NOW_MS))
        await put(edge.log, LATEST, watermark_key(0), mark)
        await edge.clock.advance(1)
        for answer in (
            await http.get(path, headers=has),
            await http.head(path, headers=has),
        ):
            assert (answer.status_code, answer.content) == (304, b"")
            assert kept(answer) == kept(first)
            assert "content-type" not in answer.headers
            assert answer.headers["access-control-allow-origin"] == "*"
        await price(edge.log, CHA, "5", version=2)
        await edge.taken_in()
        other = await http.get(path, headers=has)
        assert other.status_code == 200
        assert other.headers["etag"] != first.headers["etag"]


async def test_rooms_and_addresses_of_one_resource_share_their_tag(
    tmp_path: Path,
) -> None:
    paths = "/prices", "/party/x", "/parties/prices/y", "/parties/main/z"
    async with serving(tmp_path, before=a_table) as edge, edge.http() as http:
        assert len({(await http.get(each)).headers["etag"] for each in paths}) == 1


async def test_who_has_the_answer_has_users_read_all_the_same(tmp_path: Path) -> None:
    path = f"/balances?users={BOB}"
    async with serving(tmp_path, before=a_table) as edge, edge.http() as http:
        answer = await http.get(path, headers={"If-None-Match": "*"})
        assert answer.status_code == 304
        while not (found := await demanded(edge.log)):
            await edge.taken_in()
    assert found[0][0] == f"{BOB}|e1"


async def plain_and_packed(http: httpx.AsyncClient, path: str) -> tuple[bytes, bytes]:
    """Return the bytes of an answer as they are, and as they come compressed."""
    plain = await http.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    asked = {"Accept-Encoding": "br, gzip;q=0.5"}
    async with http.stream("GET", path, headers=asked) as packed:
        raw = b"".join([each async for each in packed.aiter_raw()])
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["content-length"] == f"{len(raw)}"
    assert packed.headers["vary"] == VARY
    assert packed.headers["etag"] == plain.headers["etag"]
    return plain.content, raw


async def test_long_answers_come_compressed_to_who_wants_them_so(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, before=many) as edge, edge.http() as http:
        some = ",".join(MANY[:20])
        for path in ("/prices", "/prices", f"/prices?tokens={some}"):
            plain, raw = await plain_and_packed(http, path)
            assert gzip.decompress(raw) == plain
            assert len(raw) < len(plain) / 5
        await edge.clock.advance(1)
        # The time it is told in is that of the answer, not that of the compression.
        later = (await http.get("/prices")).json()
        assert later["serverTime"] == NOW_MS + 1_000
        short = await http.get(f"/prices?tokens={MANY[0]}")
        assert "content-encoding" not in short.headers


async def test_many_who_come_at_once_get_one_compressed_answer(tmp_path: Path) -> None:
    async with serving(tmp_path, before=many) as edge, edge.http() as http:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(http.get("/prices")) for _ in range(5)]
        bodies = [task.result() for task in asked]
    assert {each.headers["content-encoding"] for each in bodies} == {"gzip"}
    assert len({each.text for each in bodies}) == 1
    assert len(bodies[0].json()["prices"]) == len(MANY)


async def test_since_a_cursor_only_what_changed_is_sent(tmp_path: Path) -> None:
    async with serving(tmp_path, before=a_table) as edge, edge.http() as http:
        first = await http.get("/prices")
        assert first.json().keys() == {"prices", "party", "serverTime"}
        await price(edge.log, CHA, "5", version=2)
        await put(edge.log, LATEST, f"price:{STX}".encode(), None)
        await edge.taken_in()
        query = f"?since={first.headers['feed-cursor']}"
        found = await http.get(f"/prices{query}&tokens=stx,{CHA}")
        body = found.json()
        assert body["prices"] == [update_of(CHA, 5)]
        assert [each["contractId"] for each in body["removed"]] == ["stx"]
        assert (body["recovered"], body["party"]) == (True, "prices")
        assert found.headers["cache-control"] == "no-store"
        assert "etag" not in found.headers
        again = await http.get(f"/prices?since={body['cursor']}")
        assert (again.json()["prices"], again.json()["removed"]) == ([], [])
        held = (await http.get(f"/balances{query}&users={ANNE}")).json()
        assert (held["balances"], held["recovered"]) == ([], True)


@pytest.mark.parametrize(
    ("cursor", "why"),
    [
        ("2.ffffffffffff.1.0-0.0", "other-log"),
        ("1.000000000000.ffffffffffff.1-1", "other-timeline"),
    ],
)
async def test_since_a_cursor_that_is_not_of_this_log_everything_is_sent(
    tmp_path: Path, cursor: str, why: str
) -> None:
    async with serving(tmp_path, before=two_prices) as edge, edge.http() as http:
        body = (await http.get(f"/prices?since={cursor}")).json()
    assert (body["recovered"], body["why"]) == (False, why)
    assert len(body["prices"]) == 3


@pytest.mark.parametrize("cursor", ["", "nonsense", "1.0.0.0", "2.0.0.0.0", "0"])
async def test_what_is_no_cursor_is_refused_in_words(
    tmp_path: Path, cursor: str
) -> None:
    async with serving(tmp_path, before=two_prices) as edge, edge.http() as http:
        answer = await http.get(f"/prices?since={cursor}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json()["error"] == "unreadable-cursor"


async def test_too_many_ids_in_a_query_are_refused_in_words(tmp_path: Path) -> None:
    allowances = Allowances(ids_per_message=2)
    opened = serving(tmp_path, before=two_prices, allowances=allowances)
    async with opened as edge, edge.http() as http:
        two = await http.get(f"/prices?tokens={CHA},stx")
        three = await http.get(f"/prices?tokens={CHA},stx,stx")
    assert (two.status_code, three.status_code) == (200, 400)
    assert three.json()["error"] == "too-many-ids"


async def ahead_of(edge: Serving, http: httpx.AsyncClient) -> str:
    """Return a cursor that is one record further than the edge."""
    cursor = parse_cursor((await http.get("/prices")).headers["feed-cursor"])
    assert cursor is not None
    positions = tuple(position + 1 for position in cursor.positions)
    return replace(cursor, positions=positions).text()


@pytest.mark.parametrize("comes", [True, False])
async def test_a_cursor_that_is_ahead_is_waited_for(
    tmp_path: Path, *, comes: bool
) -> None:
    async with serving(tmp_path, before=two_prices) as edge, edge.http() as http:
        asked = http.get(f"/prices?since={await ahead_of(edge, http)}")
        async with asyncio.TaskGroup() as group:
            answer = group.create_task(asked)
            if comes:
                await edge.taken_in()  # a record in each partition at least
            while not comes and not answer.done():
                await edge.clock.advance(0.25)
        body: dict[str, Any] = answer.result().json()
    assert body["recovered"] is comes
    assert body.get("why") == (None if comes else "ahead")


async def test_pages_may_see_tags_and_cursors_and_send_what_they_need(
    tmp_path: Path,
) -> None:
    origin = "https://a.example"
    async with serving(tmp_path, origins=(origin,)) as edge, edge.http() as http:
        for asked, seen in ((origin, True), ("https://b.example", False)):
            got = await http.get("/prices", headers={"Origin": asked})
            assert ("access-control-expose-headers" in got.headers) is seen
            assert got.headers["vary"] == VARY
        got = await http.get("/prices", headers={"Origin": origin})
        exposed = got.headers["access-control-expose-headers"]
        assert exposed == "ETag, Retry-After, Feed-Cursor, WWW-Authenticate, Allow"
        preflight = await http.options("/prices", headers={"Origin": origin})
    assert preflight.status_code == 204
    may_be_sent = preflight.headers["access-control-allow-headers"]
    for name in ("Authorization", "Content-Type", "Cache-Control", "Last-Event-ID"):
        assert name in may_be_sent


async def test_base_answers_are_what_they_were(tmp_path: Path) -> None:
    async with serving(tmp_path, before=a_table) as edge, edge.http() as http:
        plain = {"Accept-Encoding": "identity"}
        body = (await http.get(f"/prices?tokens={WELSH},{CHA}", headers=plain)).content
    update = json.dumps(update_of(CHA, 0.4684), separators=(",", ":"))
    said = f'{{"prices":[{update}],"party":"prices","serverTime":{NOW_MS}}}'
    assert body == said.encode()
