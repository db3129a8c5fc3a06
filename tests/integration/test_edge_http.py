"""HTTP on the edge's port: the parties' resources, methods, origins, health, metrics."""

import json
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from eventlog.port import EventLog
from schemas.ids import STX
from tests.support.serving import (
    ANNE,
    BOB,
    CHA,
    NOW_MS,
    WELSH,
    balance,
    serving,
    the_tokens,
    two_prices,
    update_of,
)

PRICES, BALANCES = "/parties/prices/main", "/parties/balances/main"
METHODS = "GET, HEAD, POST, OPTIONS"
EVERY_PRICE = [update_of(STX, 0.63), update_of("stx", 0.63), update_of(CHA, 0.4684)]


async def a_table(log: EventLog) -> None:
    await the_tokens(log)
    await balance(log, ANNE, CHA, 1_500_000)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (PRICES, EVERY_PRICE),
        ("/prices", EVERY_PRICE),
        ("/party/x", EVERY_PRICE),
        ("/parties/main/x", EVERY_PRICE),
        (
            f"{PRICES}?tokens={CHA},nonsense,{WELSH},stx,{CHA}",
            [EVERY_PRICE[2], EVERY_PRICE[1]],
        ),
        (f"{PRICES}?tokens=", []),
        (f"{PRICES}?tokens=nonsense", []),
    ],
)
async def test_get_gives_prices(tmp_path: Path, path: str, found: list[object]) -> None:
    async with serving(tmp_path, before=two_prices) as edge, edge.http() as http:
        answer = await http.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() == {"prices": found, "party": "prices", "serverTime": NOW_MS}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [(ANNE, CHA, 1_500_000)]),
        ("?users=", []),
        ("?users=nobody", []),
        (
            f"?users={BOB},{ANNE},{BOB}",
            [(BOB, CHA, 0), (BOB, WELSH, 0), (ANNE, CHA, 1_500_000), (ANNE, WELSH, 0)],
        ),
    ],
)
@pytest.mark.parametrize("path", [BALANCES, "/balances"])
async def test_get_gives_balances(
    tmp_path: Path, path: str, query: str, found: list[tuple[str, str, int]]
) -> None:
    async with serving(tmp_path, before=a_table) as edge, edge.http() as http:
        body = (await http.get(path + query)).json()
    assert body.keys() == {"balances", "party", "serverTime"}
    assert (body["party"], body["serverTime"]) == ("balances", NOW_MS)
    held = [(b["userId"], b["contractId"], b["balance"]) for b in body["balances"]]
    assert held == found


async def test_head_is_get_without_the_body(tmp_path: Path) -> None:
    async with serving(tmp_path, before=two_prices) as edge, edge.http() as http:
        got, headed = await http.get(PRICES), await http.head(PRICES)
    assert (headed.status_code, headed.content) == (200, b"")
    for name in ("content-length", "content-type"):
        assert headed.headers[name] == got.headers[name]


@pytest.mark.parametrize(
    ("path", "party"), [(PRICES, "prices"), (BALANCES, "balances")]
)
async def test_post_is_answered_at_once(tmp_path: Path, path: str, party: str) -> None:
    async with serving(tmp_path) as edge, edge.http() as http:
        answer = await http.post(path, content=b"whatever")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "triggered",
        "party": party,
        "timestamp": NOW_MS,
    }


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
async def test_other_methods_are_refused(tmp_path: Path, method: str) -> None:
    async with serving(tmp_path) as edge, edge.http() as http:
        answer = await http.request(method, PRICES)
    said = {"error": "method-not-allowed", "message": "Method not allowed"}
    assert (answer.status_code, answer.json()) == (405, said)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["allow"] == METHODS


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/parties/other/x", "Party other not found"),
        ("/parties/other/x/y/", "Party other not found"),
        ("/parties/prices/", "Not found"),
        ("/parties", "Not found"),
        ("/x/y/z", "Not found"),
        ("/x%0Ay", "Not found"),
    ],
)
async def test_what_is_not_there_is_not_found(
    tmp_path: Path, path: str, said: str
) -> None:
    async with serving(tmp_path) as edge, edge.http() as http:
        answer = await http.get(path)
        told = {"error": "not-found", "message": said}
        assert (answer.status_code, answer.json()) == (404, told)
        assert answer.headers["content-type"] == "application/json"
        with pytest.raises(InvalidStatus, match="404"):
            await connect(f"ws://{edge.host}{path}")


async def test_every_page_may_read_a_simulated_world(tmp_path: Path) -> None:
    async with serving(tmp_path) as edge, edge.http() as http:
        asked = {"Origin": "https://a.example"}
        for answer in (
            await http.get(PRICES, headers=asked),
            await http.post(PRICES, headers=asked),
            await http.options(PRICES, headers=asked),
            await http.put(PRICES, headers=asked),
        ):
            assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://a.example", "https://a.example"),
        ("https://b.example", None),
        ("", None),
    ],
)
async def test_only_pages_named_may_read(
    tmp_path: Path, origin: str, allowed: str | None
) -> None:
    named = ("https://a.example", "https://c.example")
    async with serving(tmp_path, origins=named) as edge, edge.http() as http:
        headers = {"Origin": origin} if origin else {}
        answer = await http.options(BALANCES, headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers.get("access-control-allow-origin") == allowed
    assert answer.headers["vary"] == "Origin"
    assert answer.headers["access-control-allow-methods"] == METHODS


@pytest.mark.parametrize(
    "query",
    [
        "tokens=none&tokens=stx",
        "tokens=none,stx",
        "tokens[]=none&tokens[]=stx",
        "tokens=&tokens=stx",
    ],
)
async def test_lists_are_read_however_clients_write_them(
    tmp_path: Path, query: str
) -> None:
    async with serving(tmp_path, before=two_prices) as edge, edge.http() as http:
        answer = await http.get(f"/prices?{query}")
    assert [each["contractId"] for each in answer.json()["prices"]] == ["stx"]


async def test_users_of_repeated_parameters_are_all_answered(tmp_path: Path) -> None:
    query = f"users={ANNE}&users={BOB}"
    async with serving(tmp_path, before=a_table) as edge, edge.http() as http:
        for path in ("/balances", BALANCES):
            body = (await http.get(f"{path}?{query}")).json()
            assert {each["userId"] for each in body["balances"]} == {ANNE, BOB}


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("token=stx", "unknown-parameter"),
        ("at=2026-11-30T12:00:00Z", "unknown-parameter"),
        ("%ff=1", "unknown-parameter"),
        ("since=a&since=b", "repeated-parameter"),
    ],
)
async def test_a_query_that_is_not_understood_is_refused(
    tmp_path: Path, accept: str, query: str, error: str
) -> None:
    async with serving(tmp_path, before=two_prices) as edge, edge.http() as http:
        for path in ("/prices", "/balances"):
            answer = await http.get(f"{path}?{query}", headers={"Accept": accept})
            assert (answer.status_code, answer.json()["error"]) == (400, error)
            assert (await http.head(f"{path}?{query}")).status_code == 400


@pytest.mark.parametrize("path", [PRICES, "/party/x", "/parties/main/x"])
async def test_old_addresses_ignore_what_they_do_not_know(
    tmp_path: Path, path: str
) -> None:
    async with serving(tmp_path, before=two_prices) as edge, edge.http() as http:
        answer = await http.get(f"{path}?_pk=1&token=stx&t=2&tokens[]=x")
        assert answer.json()["prices"] == EVERY_PRICE
        # A WebSocket has no way to read a refusal: nothing in its query is one.
        async with connect(f"ws://{edge.host}/prices?_pk=1&token=stx"):
            pass


ROOMS = [
    "main/",
    "a%0Ab",
    "r/2",
    "a/b/c/",
    "a%2Fb",
    "%C3%BC",
    "x y",
    "..%2f..",
    "main//x",
    "/",
]


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize(
    ("path", "party"),
    [
        ("/parties/prices/", "prices"),
        ("/parties/main/", "prices"),
        ("/party/", "prices"),
        ("/parties/balances/", "balances"),
    ],
)
async def test_everything_behind_the_party_is_the_room(
    tmp_path: Path, path: str, party: str, room: str
) -> None:
    async with serving(tmp_path, before=two_prices) as edge, edge.http() as http:
        answer = await http.get(path + room)
        assert (answer.status_code, answer.json()["party"]) == (200, party)
        url = f"ws://{edge.host}{path}{room.replace(' ', '%20')}?_pk=1"
        async with connect(url) as connection:
            greeting = json.loads(await connection.recv())
        assert greeting["party"] == party


async def test_a_long_list_of_ids_fits_into_a_query(tmp_path: Path) -> None:
    ids = ",".join(f"{BOB}.token-{number}" for number in range(500))
    async with serving(tmp_path, before=two_prices) as edge, edge.http() as http:
        answer = await http.get(f"{PRICES}?tokens={ids},{CHA}")
    assert answer.json()["prices"] == [update_of(CHA, 0.4684)]


async def test_health_and_metrics(tmp_path: Path) -> None:
    async with serving(tmp_path, before=two_prices) as edge, edge.http() as http:
        live, ready = await http.get("/health/live"), await http.get("/health/ready")
        metrics = await http.get("/metrics")
    assert live.status_code == 200
    never = "stale: shard 0 was never processed; shard 1 was never processed"
    said = {"ready": True, "reasons": [], "warnings": [never]}
    assert (ready.status_code, ready.json()) == (200, said)
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "stacks_feed_table_keys 2.0" in metrics.text
    counted = 'route="/health/ready",status="200"} '
    assert counted in metrics.text
