"""The token registry as ingest uses it: subnets and their bases, the asset of a contract."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from schemas.ids import STX, ContractId, asset_name
from schemas.tokens import Token, TokenFields

SUBNET = "SUBNET"
MAX_SUBNETS = 100
_CHARISMA = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS"

# Subnet contracts of mainnet and the tokens they stand for, for records without `base`.
KNOWN_BASES: Mapping[ContractId, ContractId] = {
    ContractId(subnet): ContractId(base)
    for subnet, base in {
        f"{_CHARISMA}.charisma-token-subnet-v1": f"{_CHARISMA}.charisma-token",
        f"{_CHARISMA}.leo-token-subnet-v1": "SP1AY6K3PQV5MRT6R4S671NWW2FRVPKM0BR162CT6.leo-token",
        f"{_CHARISMA}.kangaroo-subnet": "SP2C1WREHGM75C7TGFAEJPFKTFTEGZKF6DFT6E2GE.kangaroo",
        f"{_CHARISMA}.welsh-token-subnet-v1": "SP3NE50GEXFG9SZGTT51P40X2CKYSZ5CC4ZTZ7A2G.welshcorgicoin-token",
        f"{_CHARISMA}.usda-token-subnet": "SP2C2YFP12AJZB4MABJBAJ55XECVS7E4PMMZ89YZR.usda-token",
        f"{_CHARISMA}.dmtoken-subnet": f"{_CHARISMA}.dmtoken",
        f"{_CHARISMA}.nope-subnet": "SP32AEEF6WW5Y0NMJ1S8SBSZDAY8R5J32NBZFPKKZ.nope",
        "SP2KGJEAZRDVK78ZWTRGSDE11A1VMZVEATNQFZ73C.world-peace-stacks-stxcity-subnet": "SP14J806BWEPQAXVA0G6RYZN7GNA126B7JFRRYTEM.world-peace-stacks-stxcity",
    }.items()
}
# No registry has to know the chain's own coin.
STX_FIELDS = TokenFields(name="Stacks", symbol="STX", decimals=6)


def known_fields(contract: ContractId, said: TokenFields) -> TokenFields | None:
    """Return what the table adds to a record: the base of a subnet that names none."""
    base = KNOWN_BASES.get(contract)
    if base is None or said.base is not None:
        return None
    return TokenFields(type=SUBNET, base=base)


@dataclass(slots=True)
class Registry:
    """The tokens published so far, kept up to date from the public table.

    Of each only what is used here is kept, and of subnets no more than ``MAX_SUBNETS``:
    each of them is a request for every reading of every user.
    """

    _tokens: dict[ContractId, TokenFields] = field(default_factory=dict)
    _subnets: dict[ContractId, ContractId] | None = None

    def put(self, token: Token) -> None:
        """Take the newest record of a token."""
        before = self._tokens.get(token.contract_id)
        self._tokens[token.contract_id] = _used(token.fields)
        if before is None or _role(before) != _role(token.fields):
            self._subnets = None

    def drop(self, contract: ContractId) -> None:
        """Take note that a token was withdrawn."""
        if self._tokens.pop(contract, None) is not None:
            self._subnets = None

    def subnets(self) -> Mapping[ContractId, ContractId]:
        """Return each subnet contract with the mainnet token it stands for.

        A subnet of a subnet stands for the last base; one whose bases go round in a
        circle stands for nothing and is left out.
        """
        if self._subnets is None:
            # Those that we know ourselves go first, whatever a registry makes up.
            ordered = sorted(self._tokens, key=lambda at: (at not in KNOWN_BASES, at))
            pairs = ((subnet, self._base(subnet)) for subnet in ordered)
            found = ((subnet, base) for subnet, base in pairs if base)
            self._subnets = dict(islice(found, MAX_SUBNETS))
        return self._subnets

    def chosen_asset(self, contract: ContractId) -> str | None:
        """Return which asset of a contract is its token, if the registry says so."""
        fields = self._tokens.get(contract)
        identifier = fields.identifier if fields else None
        return (asset_name(identifier) or identifier) if identifier else None

    def unknown_decimals(self) -> frozenset[ContractId]:
        """Return the tokens nobody gave decimals for."""
        return frozenset(c for c, f in self._tokens.items() if f.decimals is None)

    def contracts(self) -> list[ContractId]:
        """Return the contracts of all tokens, in order; STX is none."""
        return sorted(contract for contract in self._tokens if contract != STX)

    def _base(self, subnet: ContractId) -> ContractId | None:
        """Follow bases to the end; ``None`` for a token that is no subnet."""
        passed: set[ContractId] = set()
        at = subnet
        while (base := self._step(at)) is not None:
            passed.add(at)
            if base in passed:
                return None
            at = base
        return at if at != subnet else None

    def _step(self, contract: ContractId) -> ContractId | None:
        fields = self._tokens.get(contract)
        if fields is None or fields.type != SUBNET:
            return None
        return fields.base


def _used(fields: TokenFields) -> TokenFields:
    return TokenFields(
        type=fields.type,
        base=fields.base,
        identifier=fields.identifier,
        decimals=fields.decimals,
    )


def _role(fields: TokenFields) -> tuple[str | None, ContractId | None]:
    return fields.type, fields.base
