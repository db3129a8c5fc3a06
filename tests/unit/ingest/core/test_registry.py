"""The registry: subnets and bases, and which asset of a contract is its token."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.core.registry import (
    KNOWN_BASES,
    MAX_SUBNETS,
    SUBNET,
    Registry,
    known_fields,
)
from schemas.ids import STX, ContractId, Network, parse_contract_id
from schemas.tokens import Token, TokenFields

DEPLOYER = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS"


def token(name: str) -> ContractId:
    return ContractId(f"{DEPLOYER}.{name}")


def put(registry: Registry, name: str, base: str | None = None, **more: str) -> None:
    kind = SUBNET if base else None
    at = token(base) if base else None
    fields = TokenFields(type=kind, base=at, **more)  # type: ignore[arg-type]
    registry.put(
        Token(
            contract_id=token(name), fields=fields, version=1, observed_at=0, origins=()
        )
    )


def test_a_subnet_stands_for_its_base() -> None:
    registry = Registry()
    put(registry, "a")
    put(registry, "a-subnet", base="a")
    assert registry.subnets() == {token("a-subnet"): token("a")}


def test_a_subnet_of_a_subnet_stands_for_the_last_base() -> None:
    registry = Registry()
    put(registry, "a-2", base="a-1")
    put(registry, "a-1", base="a")
    assert registry.subnets() == {token("a-2"): token("a"), token("a-1"): token("a")}


def test_bases_that_go_round_in_a_circle_stand_for_nothing() -> None:
    registry = Registry()
    put(registry, "a", base="b")
    put(registry, "b", base="a")
    put(registry, "c", base="c")
    assert registry.subnets() == {}


def test_a_base_counts_only_with_a_subnet() -> None:
    registry = Registry()
    fields = TokenFields(type="LP", base=token("b"))
    registry.put(
        Token(
            contract_id=token("a"), fields=fields, version=1, observed_at=0, origins=()
        )
    )
    assert registry.subnets() == {}


def test_subnets_follow_changes_of_the_registry() -> None:
    registry = Registry()
    put(registry, "s", base="a")
    assert registry.subnets() == {token("s"): token("a")}
    put(registry, "s", base="b", symbol="B")
    assert registry.subnets() == {token("s"): token("b")}
    before = registry.subnets()
    put(registry, "s", base="b", symbol="C")
    assert registry.subnets() is before
    registry.drop(token("s"))
    registry.drop(token("s"))
    assert registry.subnets() == {}


def test_the_chosen_asset_is_that_of_the_identifier_in_either_spelling() -> None:
    registry = Registry()
    put(registry, "a", identifier="coin")
    put(registry, "b", identifier=f"{token('b')}::coin")
    put(registry, "c")
    chosen = [registry.chosen_asset(token(name)) for name in ("a", "b", "c", "d")]
    assert chosen == ["coin", "coin", None, None]


def test_contracts_are_all_tokens_but_stx() -> None:
    registry = Registry()
    put(registry, "b")
    put(registry, "a")
    registry.put(
        Token(
            contract_id=STX,
            fields=TokenFields(decimals=6),
            version=1,
            observed_at=0,
            origins=(),
        )
    )
    assert registry.contracts() == [token("a"), token("b")]
    assert registry.unknown_decimals() == {token("a"), token("b")}


def test_the_table_gives_a_base_where_a_record_has_none() -> None:
    subnet = token("welsh-token-subnet-v1")
    added = known_fields(subnet, TokenFields())
    assert added == TokenFields(type=SUBNET, base=KNOWN_BASES[subnet])
    assert known_fields(subnet, TokenFields(base=token("a"))) is None
    assert known_fields(token("a"), TokenFields()) is None


def test_the_known_pairs_are_mainnet_contracts_in_normal_form() -> None:
    for pair in KNOWN_BASES.items():
        assert [parse_contract_id(one, Network.MAINNET) for one in pair] == list(pair)


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("abcdef")))
def test_no_registry_makes_it_loop_and_a_base_is_never_itself_a_subnet(
    bases: dict[str, str],
) -> None:
    registry = Registry()
    for name, base in bases.items():
        put(registry, name, base=base)
    subnets = registry.subnets()
    assert not set(subnets.values()) & set(subnets)


def test_subnets_made_up_without_end_leave_those_that_are_known() -> None:
    registry = Registry()
    for at in range(2 * MAX_SUBNETS):
        put(registry, f"a-{at}", base="a")
    put(registry, "welsh-token-subnet-v1", base="welsh")
    subnets = registry.subnets()
    assert len(subnets) == MAX_SUBNETS
    assert token("welsh-token-subnet-v1") in subnets


def test_of_a_token_only_what_is_used_is_kept() -> None:
    registry = Registry()
    put(registry, "a", description="x" * 8_000, identifier="b")
    assert "xxx" not in repr(registry)
    assert registry.chosen_asset(token("a")) == "b"
