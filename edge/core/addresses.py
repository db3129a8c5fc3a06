"""Who a request comes from, for limits: an address, or the network of a household."""

from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

# One customer of a provider has at least this much of the new protocol to himself.
_HOUSEHOLD_BITS = 64


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read networks as in ``10.0.0.0/8``; a lone address is a network of one.

    Raises ``ValueError`` that names the first that is none.
    """
    return tuple(ip_network(text, strict=False) for text in texts)


def address_of(text: str) -> Address | None:
    """Read an address as proxies write it, with a port or without; ``None`` if it is none.

    An old address in the clothes of a new one is the old one.
    """
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def client_of(
    peer: Address | None, forwarded: Sequence[str], trusted: Sequence[Network]
) -> Address | None:
    """Return whose request it is; ``None`` when the peer has no address.

    ``forwarded`` are the values of ``X-Forwarded-For`` in order. Each proxy appends whom it
    heard; what stands left of the first that we do not know anybody may have written. So
    it is the right-most address that is no proxy of ours; what cannot be read hides
    behind the proxy that passed it on.
    """
    client = peer
    passed_on = [each for value in forwarded for each in value.split(",")]
    while client is not None and is_among(client, trusted) and passed_on:
        said = address_of(passed_on.pop())
        if said is None:
            return client
        client = said
    return client


def is_among(address: Address, trusted: Iterable[Network]) -> bool:
    """Tell whether an address is in one of some networks."""
    return any(address in network for network in trusted)


def household(address: Address | None) -> str:
    """Return for whom is counted: an address, of IPv6 its /64; empty without one."""
    if address is None:
        return ""
    if isinstance(address, IPv4Address):
        return f"{address}"
    return f"{IPv6Network((address, _HOUSEHOLD_BITS), strict=False)}"
