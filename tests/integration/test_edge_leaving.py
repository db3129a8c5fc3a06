"""What an edge says of its users when it stops."""

from pathlib import Path

from websockets.asyncio.client import connect

from schemas.log import World
from tests.support.serving import (
    ANNE,
    BOB,
    Listener,
    a_log,
    demanded,
    identity,
    serving_from,
)


async def test_a_stopping_edge_withdraws_its_leases(tmp_path: Path) -> None:
    async with a_log(tmp_path) as log:
        await identity(log, World.SIMULATED)
        async with serving_from(log) as running:
            url = f"ws://{running.host}/parties/balances/main"
            listener = Listener(await connect(url))
            await listener.until_now()
            await listener.asks("SUBSCRIBE", userIds=[ANNE, BOB])
            while len(await demanded(log)) < 2:
                await running.taken_in()
        assert await listener.closed() == (1012, "restarting")
        written = await demanded(log)
    assert {key for key, _ in written[:2]} == {f"{ANNE}|e1", f"{BOB}|e1"}
    assert dict(written) == {f"{ANNE}|e1": None, f"{BOB}|e1": None}
