"""Balances in subnet contracts, each by a read-only call."""

from ingest.core.clarity import encode_principal
from ingest.core.normalize.calls import called
from ingest.sources.client import Ask, UpstreamClient
from schemas.balances import SubnetRead
from schemas.ids import ContractId, UserId

SOURCE = "subnet-call"


def call(
    source: str, contract: ContractId, function: str, arguments: tuple[str, ...] = ()
) -> Ask:
    """Return the request of a read-only call, of the anchored state.

    There is no ``tip``: a malformed one silently means another state. The sender may be
    any principal; the contract's own address is one that is always there.
    """
    address, _, name = contract.partition(".")
    return Ask(
        source,
        f"/v2/contracts/call-read/{address}/{name}/{function}",
        json={"sender": address, "arguments": list(arguments)},
        subject=contract,
    )


async def read_subnet(
    client: UpstreamClient, user: UserId, subnet: ContractId, base: ContractId
) -> SubnetRead:
    """Read what a user holds in one subnet contract; raises ``SourceDown``.

    Zero is an observation, a failed call is none.
    """
    ask = call(SOURCE, subnet, "get-balance", (encode_principal(user),))
    answer = await client.ask(ask, called)
    return SubnetRead(
        user_id=user,
        subnet_id=subnet,
        base_id=base,
        source=SOURCE,
        observed_at=answer.observed_at,
        balance=str(answer.said),
    )
