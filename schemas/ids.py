"""Contracts, assets and users: their grammar and their one normal form.

Normal form: the address decoded and encoded again, ``stx`` written ``.stx``, the asset
after ``::`` cut off. Only the normal form is ever a key.
"""

import re
from enum import Enum
from functools import lru_cache
from typing import Annotated, NewType

from pydantic import AfterValidator, Field

from schemas.c32 import decode_address, encode_address

ContractId = NewType("ContractId", str)
UserId = NewType("UserId", str)

STX = ContractId(".stx")

# 40 is the limit of a name on the wire of the chain (SIP-005), 128 that of an asset.
_NAME = "[a-zA-Z][a-zA-Z0-9_-]{0,39}"
_ASSET = r"(?:[a-zA-Z][a-zA-Z0-9_!?+<>=/*-]{0,127}|[-+=/*<>]|<=|>=)"
_PRINCIPAL = re.compile(rf"([0-9A-Za-z]{{3,63}})(?:\.({_NAME}))?")
_CONTRACT = re.compile(rf"([0-9A-Za-z]{{3,63}})\.({_NAME})(?:::({_ASSET}))?")
_CACHED_IDS = 65_536
# What clients ask for, right or wrong: who asks again does so soon.
_CACHED_ADDRESSES = 4_096


class Network(Enum):
    """A Stacks chain; the versions are those of its addresses (single, multisig)."""

    MAINNET = "mainnet"
    TESTNET = "testnet"

    @property
    def versions(self) -> frozenset[int]:
        """The address versions of this network."""
        return frozenset({22, 20} if self is Network.MAINNET else {26, 21})


_KNOWN_VERSIONS = Network.MAINNET.versions | Network.TESTNET.versions


def parse_contract_id(text: str, network: Network | None = None) -> ContractId | None:
    """Return the normal form of a contract or asset id; ``None`` if it is none.

    With ``network`` ids of another network are none either; ``.stx`` is of both.
    """
    if text in {"stx", STX}:
        return STX
    match = _CONTRACT.fullmatch(text)
    if match is None:
        return None
    address = _address(match[1], network)
    return ContractId(f"{address}.{match[2]}") if address else None


def parse_user_id(text: str, network: Network | None = None) -> UserId | None:
    """Return the normal form of a user, a standard or a contract principal, or ``None``."""
    match = _PRINCIPAL.fullmatch(text)
    if match is None:
        return None
    address = _address(match[1], network)
    if address is None:
        return None
    return UserId(f"{address}.{match[2]}" if match[2] else address)


def asset_name(asset_id: str) -> str | None:
    """Return what stands after ``::`` in a full asset id; ``None`` without one."""
    _, separator, name = asset_id.partition("::")
    return name if separator else None


@lru_cache(_CACHED_ADDRESSES)
def _address(text: str, network: Network | None) -> str | None:
    decoded = decode_address(text)
    if decoded is None:
        return None
    version, hash160 = decoded
    allowed = network.versions if network else _KNOWN_VERSIONS
    return encode_address(version, hash160) if version in allowed else None


@lru_cache(_CACHED_IDS)
def _is_contract_id(text: str) -> bool:
    return parse_contract_id(text) == text


@lru_cache(_CACHED_IDS)
def _is_user_id(text: str) -> bool:
    return parse_user_id(text) == text


def _contract_id(text: str) -> str:
    if not _is_contract_id(text):
        raise ValueError("not a contract id in normal form")
    return text


def _user_id(text: str) -> str:
    if not _is_user_id(text):
        raise ValueError("not a user id in normal form")
    return text


# Field types: what stands in a record is in normal form, or the record is refused.
ContractIdField = Annotated[
    ContractId, Field(max_length=128), AfterValidator(_contract_id)
]
UserIdField = Annotated[UserId, Field(max_length=128), AfterValidator(_user_id)]
