"""All that is held of one user: the account and the parts of each balance."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from schemas.base import canonical
from schemas.ids import ContractId, UserId
from schemas.latest import balance_key
from schemas.states import Moment
from schemas.topics import BALANCES_RAW


class Reading(NamedTuple):
    """The newest whole reading of an account."""

    source: str
    moment: Moment
    sha256: str
    offset: int


class Account(NamedTuple):
    """How far an account is known; a confirmation moves the moment alone."""

    moment: Moment
    reading: Reading | None = None
    forgotten: Moment | None = None


class Standing(NamedTuple):
    """Where a part stands: how old it is, and on which observation."""

    moment: Moment
    observed_at: int
    offset: int


class Mainnet(NamedTuple):
    """The mainnet part of a balance; without ``own`` it follows the account."""

    balance: str
    total_sent: str | None
    total_received: str | None
    own: Standing | None


class Subnet(NamedTuple):
    """The part of a balance in one subnet contract.

    It is published once it is ``held``: once a balance above 0 was read in the subnet.
    """

    balance: str
    source: str
    moment: Moment
    offset: int
    held: bool


class Layers(NamedTuple):
    """The parts of one balance; the version outlives them. Never changed in place."""

    mainnet: Mainnet | None = None
    subnets: Mapping[str, Subnet] = {}
    version: int = 0

    @property
    def empty(self) -> bool:
        """Whether there is no part to publish."""
        return self.mainnet is None and not self.published_subnets

    @property
    def published_subnets(self) -> dict[str, Subnet]:
        """The subnet parts that are published, in the order of their contract ids."""
        return {key: part for key, part in self.subnets.items() if part.held}


NOTHING: Final = Layers()


class User:
    """The account and the balances of one user, to be changed by one batch alone."""

    __slots__ = ("account", "account_changed", "layers", "touched", "user_id")

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self.account: Account | None = None
        self.layers: dict[str, Layers] = {}
        self.account_changed = False
        self.touched: set[str] = set()

    def copy(self) -> "User":
        """Return the same as something not yet changed."""
        copied = User(self.user_id)
        copied.account, copied.layers = self.account, self.layers.copy()
        return copied

    @property
    def changed(self) -> bool:
        """Whether anything is not as it was."""
        return self.account_changed or bool(self.touched)

    def set_account(self, account: Account) -> None:
        """Hold another account."""
        self.account, self.account_changed = account, True

    def of(self, contract_id: str) -> Layers:
        """Return the parts of a balance."""
        return self.layers.get(contract_id, NOTHING)

    def put(self, contract_id: str, layers: Layers) -> None:
        """Hold other parts of a balance; nothing is held of one that has no part or version."""
        if self.of(contract_id) == layers:
            return
        self.touched.add(contract_id)
        if layers == NOTHING:
            del self.layers[contract_id]
        else:
            self.layers[contract_id] = layers

    def put_mainnet(self, contract_id: str, part: Mainnet) -> None:
        """Hold another mainnet part."""
        self.put(contract_id, self.of(contract_id)._replace(mainnet=part))

    def put_subnet(self, contract_id: str, subnet_id: str, part: Subnet) -> None:
        """Hold a subnet part under this base; they stay in the order of their ids."""
        layers = self.of(contract_id)
        subnets = dict(sorted({**layers.subnets, subnet_id: part}.items()))
        self.put(contract_id, layers._replace(subnets=subnets))

    def drop_subnet(self, contract_id: str, subnet_id: str) -> None:
        """Hold the subnet's part no more under this base."""
        layers = self.of(contract_id)
        left = {key: part for key, part in layers.subnets.items() if key != subnet_id}
        self.put(contract_id, layers._replace(subnets=left))

    def subnet(self, subnet_id: str) -> tuple[str, Subnet] | None:
        """Return the part of a subnet and the base it is under."""
        for contract_id, layers in self.layers.items():
            if subnet_id in layers.subnets:
                return contract_id, layers.subnets[subnet_id]
        return None

    def subnets(self) -> Iterator[Subnet]:
        """Yield all subnet parts."""
        for layers in self.layers.values():
            yield from layers.subnets.values()

    def standing(self, part: Mainnet) -> Standing:
        """Return where a mainnet part stands, be it by its account."""
        if part.own is not None:
            return part.own
        account = self.account
        if account is None or account.reading is None:
            raise AssertionError("a part follows an account without a reading")
        reading = account.reading
        return Standing(account.moment, reading.moment.observed_at, reading.offset)

    def publish(self, contract_id: str, *, shard: int) -> tuple[bytes, bytes | None]:
        """Return key and next value of a balance; a tombstone when no part is left."""
        key = balance_key(UserId(self.user_id), ContractId(contract_id))
        layers = self.of(contract_id)
        if layers.empty:
            return key, None
        layers = layers._replace(version=layers.version + 1)
        self.put(contract_id, layers)
        return key, self._value(contract_id, layers, shard=shard)

    def _value(self, contract_id: str, layers: Layers, *, shard: int) -> bytes:
        """Return the canonical bytes of the ``Balance``."""
        subnets = layers.published_subnets
        stands = [(part.moment.observed_at, part.offset) for part in subnets.values()]
        mainnet = None
        if layers.mainnet is not None:
            _, observed_at, offset = self.standing(layers.mainnet)
            stands.insert(0, (observed_at, offset))
            mainnet = _mainnet(layers.mainnet, observed_at=observed_at)
        return canonical(
            {
                "schema": "balance/1",
                "userId": self.user_id,
                "contractId": contract_id,
                "mainnet": mainnet,
                "subnets": {
                    subnet_id: {
                        "balance": part.balance,
                        "observedAt": part.moment.observed_at,
                    }
                    for subnet_id, part in subnets.items()
                },
                "version": layers.version,
                "observedAt": max(observed_at for observed_at, _ in stands),
                "origins": [[BALANCES_RAW, shard, offset] for _, offset in stands],
            }
        )


def _mainnet(part: Mainnet, *, observed_at: int) -> dict[str, str | int | None]:
    return {
        "balance": part.balance,
        "totalSent": part.total_sent,
        "totalReceived": part.total_received,
        "observedAt": observed_at,
    }
