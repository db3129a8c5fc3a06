"""Real tokens by their public ids, so that a simulated feed looks like the real one.

Ids, decimals and the pairing of subnet tokens with their bases are facts of the chain;
base prices are plausible and no more.
"""

from typing import NamedTuple


class Known(NamedTuple):
    """A real mainnet token: its contract, asset, symbol, decimals and a price."""

    contract_id: str
    asset: str
    symbol: str
    decimals: int
    usd: float


_CHARISMA = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS"
_ALEX = "SP102V8P0F7JX67ARQ77WEA3D3CFB5XW39REDT0AM"

MAINNET = (
    Known(f"{_CHARISMA}.charisma-token", "charisma", "CHA", 6, 0.46),
    Known(
        "SP1AY6K3PQV5MRT6R4S671NWW2FRVPKM0BR162CT6.leo-token", "leo", "LEO", 6, 6.1e-5
    ),
    Known(
        "SP2C1WREHGM75C7TGFAEJPFKTFTEGZKF6DFT6E2GE.kangaroo",
        "kangaroo",
        "ROO",
        6,
        1.9e-4,
    ),
    Known(
        "SP3NE50GEXFG9SZGTT51P40X2CKYSZ5CC4ZTZ7A2G.welshcorgicoin-token",
        "welshcorgicoin",
        "WELSH",
        6,
        5.2e-4,
    ),
    Known("SP2C2YFP12AJZB4MABJBAJ55XECVS7E4PMMZ89YZR.usda-token", "usda", "USDA", 6, 1),
    Known(f"{_CHARISMA}.dmtoken", "dmtoken", "DMT", 6, 0.0012),
    Known("SP32AEEF6WW5Y0NMJ1S8SBSZDAY8R5J32NBZFPKKZ.nope", "NOT", "NOT", 0, 1.4e-5),
    Known(
        "SP14J806BWEPQAXVA0G6RYZN7GNA126B7JFRRYTEM.world-peace-stacks-stxcity",
        "WPS",
        "WPS",
        6,
        3.3e-6,
    ),
    Known(
        "SM3VDXK3WZZSA84XXFKAFAF15NNZX32CTSG82JFQ4.sbtc-token",
        "sbtc-token",
        "sBTC",
        8,
        99_000.0,
    ),
    Known(f"{_ALEX}.token-alex", "alex", "ALEX", 8, 0.031),
    Known(
        "SP2XD7417HGPRTREMKF748VNEQPDRR0RMANB7X1NK.token-abtc",
        "bridged-btc",
        "aBTC",
        8,
        98_400.0,
    ),
    Known(
        "SP3Y2ZSH8P7D50B0VBTSX11S7XSG24M1VB9YFQA4K.token-aeusdc",
        "aeUSDC",
        "aeUSDC",
        6,
        1.0,
    ),
    Known(
        "SP1Y5YSTAHZ88XYK1VPDH24GY0HPX5J4JECTMY4A1.velar-token", "velar", "V", 6, 0.02
    ),
    Known(
        "SP4SZE494VC2YC5JYG7AYFQ44F5Q4PYV7DVMDPBG.ststx-token", "ststx", "stSTX", 6, 0.7
    ),
    Known(
        "SP3R4MHK99JAAM0N3T0CBZRZVSVQFG1N75DQ08JSD.nakamoto",
        "nakamoto",
        "NAKA",
        6,
        2.1e-9,
    ),
    Known(
        "SP1Z92MPDQEWZXW36VX71Q25HKF5K2EPCJ304F275.tokensoft-token-v4k68639zxz",
        "tokensoft-token",
        "PEPE",
        3,
        2e-5,
    ),
    Known(
        "SP1H1733V5MZ3SZ9XRW9FKYGEZT0JDGEB8Y634C7R.miamicoin-token-v2",
        "miamicoin",
        "MIA",
        6,
        3e-5,
    ),
    Known(
        "SP3DX3H4FEYZJZ586MFBS25ZW3HZDMEW92260R2PR.Wrapped-Bitcoin",
        "wrapped-bitcoin",
        "xBTC",
        8,
        98_100.0,
    ),
    Known(
        "SP312TQ306SD7B7J2BPXKGBBYV780QGJJQSTVBT7N.stx_mainstream",
        "STXM",
        "STXM",
        6,
        4e-6,
    ),
    Known(
        "SPPGGPRBQ0C2S38Q8YHCEW2DVJBABSAPGXQF0NR.meme-fun-token",
        "MEME",
        "MEME",
        6,
        1e-6,
    ),
)

SUBNETS = (
    (f"{_CHARISMA}.charisma-token-subnet-v1", MAINNET[0].contract_id),
    (f"{_CHARISMA}.leo-token-subnet-v1", MAINNET[1].contract_id),
    (f"{_CHARISMA}.kangaroo-subnet", MAINNET[2].contract_id),
    (f"{_CHARISMA}.welsh-token-subnet-v1", MAINNET[3].contract_id),
    (f"{_CHARISMA}.usda-token-subnet", MAINNET[4].contract_id),
    (f"{_CHARISMA}.dmtoken-subnet", MAINNET[5].contract_id),
    (f"{_CHARISMA}.nope-subnet", MAINNET[6].contract_id),
    (
        "SP2KGJEAZRDVK78ZWTRGSDE11A1VMZVEATNQFZ73C.world-peace-stacks-stxcity-subnet",
        MAINNET[7].contract_id,
    ),
)
