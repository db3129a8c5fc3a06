"""What the edge writes into ``demand``: leases of users named, and refresh requests."""

from pathlib import Path
from typing import Any

from tests.support.serving import (
    ANNE,
    BOB,
    NOW_MS,
    Message,
    Serving,
    demanded,
    serving,
)

PATH = "/parties/balances/main"


async def written(running: Serving, count: int) -> list[tuple[str, Message | None]]:
    """Return what stands in ``demand`` when there are ``count`` records or more."""
    while len(found := await demanded(running.log)) < count:
        await running.taken_in()
    return found


def lease(user: str, *, at_ms: int = NOW_MS, lease_s: int = 300) -> tuple[str, Any]:
    return f"{user}|e1", {
        "schema": "lease/1",
        "userId": user,
        "edge": "e1",
        "renewedAt": at_ms,
        "expiresAt": at_ms + lease_s * 1_000,
    }


def withdrawn(user: str) -> tuple[str, None]:
    return f"{user}|e1", None


def refresh(kind: str, *, at_ms: int = NOW_MS) -> tuple[str, Any]:
    return f"refresh:{kind}", {
        "schema": "refresh/1",
        "kind": kind,
        "requestedAt": at_ms,
    }


async def test_users_named_are_leased_until_their_last_subscriber_leaves(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as running:
        async with running.listener(PATH) as one:
            async with running.listener(PATH) as other:
                await one.asks("SUBSCRIBE", userIds=[ANNE])
                await other.asks("SUBSCRIBE", userIds=[ANNE, "nobody"])
                assert await written(running, 1) == [lease(ANNE)]
                await one.asks("UNSUBSCRIBE", userIds=[ANNE])
            assert await written(running, 2) == [lease(ANNE), withdrawn(ANNE)]
            await one.asks("SUBSCRIBE", userIds=[ANNE])
            await written(running, 3)
        assert (await written(running, 4))[2:] == [lease(ANNE), withdrawn(ANNE)]


async def test_all_names_nobody(tmp_path: Path) -> None:
    async with serving(tmp_path) as running, running.listener(PATH) as listener:
        await listener.asks("SUBSCRIBE", userIds=[])
        await listener.asks("SUBSCRIBE", userIds=[BOB])
        assert await written(running, 1) == [lease(BOB)]


async def test_leases_are_renewed_in_good_time(tmp_path: Path) -> None:
    async with serving(tmp_path) as running, running.listener(PATH) as listener:
        await listener.asks("SUBSCRIBE", userIds=[ANNE])
        await written(running, 1)
        # The pings and the writer of demand sleep.
        await running.clock.until_asleep(2)
        await running.clock.advance(59)
        assert await written(running, 1) == [lease(ANNE)]
        await running.clock.advance(1)
        assert await written(running, 2) == [
            lease(ANNE),
            lease(ANNE, at_ms=NOW_MS + 60_000),
        ]


async def test_a_user_named_in_a_request_gets_one_lease(tmp_path: Path) -> None:
    async with serving(tmp_path) as running, running.http() as http:
        for _ in range(3):
            await http.get(PATH, params={"users": f"{ANNE},{ANNE}"})
            assert await written(running, 1) == [lease(ANNE)]
        await running.clock.until_asleep(2)
        await running.clock.advance(400)
        await running.taken_in()
        assert await demanded(running.log) == [lease(ANNE)]


async def test_of_many_refresh_requests_one_is_written_in_the_interval(
    tmp_path: Path,
) -> None:
    async with (
        serving(tmp_path) as running,
        running.http() as http,
        running.listener("/prices") as listener,
    ):
        assert await listener.asks("MANUAL_UPDATE") == []
        assert await written(running, 1) == [refresh("prices")]
        for _ in range(3):
            await http.post("/parties/prices/main")
            await listener.asks("MANUAL_UPDATE")
        await running.clock.until_asleep(2)
        await running.clock.advance(9)
        await running.taken_in()
        assert len(await demanded(running.log)) == 1
        await running.clock.advance(1)
        assert await written(running, 2) == [
            refresh("prices"),
            refresh("prices", at_ms=NOW_MS + 10_000),
        ]


async def test_the_parties_ask_for_their_own_kind(tmp_path: Path) -> None:
    async with serving(tmp_path) as running, running.http() as http:
        await http.post("/balances")
        await http.post("/prices")
        found = await written(running, 2)
    assert dict(found) == dict([refresh("balances"), refresh("prices")])
