"""The identity of a log that a test does not have to make."""

from schemas.ids import Network
from schemas.log import LogIdentity, World

AN_IDENTITY = LogIdentity(
    id="0123456789abcdef" * 2,
    network=Network.MAINNET,
    world=World.SIMULATED,
    partitions=2,
    created_at=1_700_000_000_000,
)
