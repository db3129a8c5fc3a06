"""What a seed makes: tokens, subnet tokens and the accounts that hold them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from . import c32, known
from .draws import Draws, digest

Network = Literal["mainnet", "testnet"]

STX = ".stx"
STX_DECIMALS = 6
STX_USD = 0.61

_VERSIONS: Mapping[Network, tuple[int, int]] = {
    "mainnet": (22, 20),
    "testnet": (26, 21),
}
# One address in so many belongs to several signers, on the chain as here.
_MULTISIG_EVERY = 12
_DECIMALS = (6, 6, 8, 6, 0, 6, 2, 6, 3, 6)
_WORDS = ("amber", "Basalt", "cedar", "delta", "ember", "fjord", "garnet", "harbor")
_KINDS = ("token", "coin-v2", "Coin", "stx_city", "bonding-curve")
# A token that calls itself STX, worth a fortune: nobody may price STX by symbol.
_IMPOSTOR_AT = 3
_IMPOSTOR_USD = 1_000.0
_PENDING_AT = 7


@dataclass(frozen=True, slots=True)
class Token:
    """One token contract; a subnet token names the mainnet contract it stands on."""

    contract_id: str
    asset: str
    name: str
    symbol: str
    decimals: int
    usd: float
    base: str | None = None
    # Some subnet contracts answer `get-balance` with `uN`, others with `(ok uN)`.
    bare: bool = False
    metadata_pending: bool = False

    @property
    def asset_id(self) -> str:
        """The id under which Hiro lists the asset: ``ADDRESS.contract::asset``."""
        return f"{self.contract_id}::{self.asset}"


@dataclass(frozen=True, slots=True)
class World:
    """Everything that does not move. `tokens` are mainnet's, `subnets` stand on them."""

    seed: int
    network: Network
    tokens: tuple[Token, ...]
    subnets: tuple[Token, ...]
    accounts: tuple[str, ...]
    contracts: Mapping[str, Token] = field(repr=False)
    assets: Mapping[str, Token] = field(repr=False)


def build(
    seed: int, *, network: Network, tokens: int, subnets: int, accounts: int
) -> World:
    """Return the world of a seed: the real tokens first, then invented ones."""
    mainnet = _mainnet(seed, network, tokens)
    over = _subnets(seed, network, mainnet, subnets)
    everything = (*mainnet, *over)
    return World(
        seed=seed,
        network=network,
        tokens=mainnet,
        subnets=over,
        accounts=tuple(
            _address(seed, network, "account", at) for at in range(accounts)
        ),
        contracts={token.contract_id: token for token in everything},
        assets={token.asset_id: token for token in mainnet},
    )


def _mainnet(seed: int, network: Network, count: int) -> tuple[Token, ...]:
    real = [_real(entry, network) for entry in known.MAINNET[:count]]
    invented = [_invented(seed, network, at) for at in range(count - len(real))]
    return (*real, *invented)


def _real(entry: known.Known, network: Network) -> Token:
    contract_id, asset, symbol, decimals, usd = entry
    name = asset.replace("-", " ").title()
    home = _on(network, contract_id)
    return Token(home, asset, name, symbol, decimals, float(usd))


def _invented(seed: int, network: Network, at: int) -> Token:
    draws = Draws(seed, "token", at)
    word, kind = _WORDS[at % len(_WORDS)], _KINDS[draws.below(len(_KINDS))]
    home = _address(seed, network, "deployer", at)
    token = Token(
        contract_id=f"{home}.{word}-{at}-{kind}",
        asset=f"{word}-{at}",
        name=f"{word.title()} {at}",
        symbol=f"{word[:4].upper()}{at}",
        decimals=_DECIMALS[at % len(_DECIMALS)],
        usd=_significant((1 + 9 * draws.unit()) * 10.0 ** (draws.below(8) - 7)),
        metadata_pending=at == _PENDING_AT,
    )
    if at != _IMPOSTOR_AT:
        return token
    return replace(token, symbol="STX", name="Stacks", usd=_IMPOSTOR_USD)


def _subnets(
    seed: int, network: Network, mainnet: tuple[Token, ...], count: int
) -> tuple[Token, ...]:
    by_id = {token.contract_id: token for token in mainnet}
    pairs = [(_on(network, sub), _on(network, base)) for sub, base in known.SUBNETS]
    # Second in line, so that any world with two subnets has two of one base.
    pairs.insert(1, (_subnet_id(seed, network, 0), pairs[0][1]))
    spare = mainnet[len(known.SUBNETS) :]
    for at, token in enumerate(spare, start=1):
        pairs.append((_subnet_id(seed, network, at), token.contract_id))
    usable = [(sub, by_id[base]) for sub, base in pairs if base in by_id]
    return tuple(_subnet(at, *pair) for at, pair in enumerate(usable[:count]))


def _subnet(at: int, contract_id: str, base: Token) -> Token:
    return replace(
        base,
        contract_id=contract_id,
        name=f"{base.name} (Subnet)",
        symbol=f"x{base.symbol}",
        base=base.contract_id,
        bare=at % 3 == 1,
        metadata_pending=False,
    )


def _subnet_id(seed: int, network: Network, at: int) -> str:
    return f"{_address(seed, network, 'subnet', at)}.subnet-{at}"


def _address(seed: int, network: Network, kind: str, at: int) -> str:
    hash160 = digest(seed, kind, at, size_bytes=c32.HASH_BYTES)
    single, multi = _VERSIONS[network]
    version = multi if at % _MULTISIG_EVERY == _MULTISIG_EVERY - 1 else single
    return c32.address(version, hash160)


def _on(network: Network, contract_id: str) -> str:
    """Move a mainnet contract id to the network, where its address begins otherwise."""
    who = c32.parse_principal(contract_id)
    at = _VERSIONS["mainnet"].index(who.version)
    return replace(who, version=_VERSIONS[network][at]).text


def _significant(usd: float) -> float:
    return float(f"{usd:.6g}")
