"""A broker that wants logins and TLS: everything works with them, nothing without."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from eventlog.kafka import KafkaConfig, KafkaSecurity, open_kafka
from eventlog.kafka.config import Mechanism, Protocol
from eventlog.port import LogUnavailable
from tests.support.logs import TOPICS, append, entry, raw, read_one, texts
from tests.support.processes import run
from tests.support.secured_kafka import (
    PASSWORD,
    USER,
    SecuredKafka,
    make_ca,
    secured_kafka,
)

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def secured() -> Iterator[SecuredKafka]:
    with secured_kafka() as kafka:
        yield kafka


def config(
    kafka: SecuredKafka,
    protocol: Protocol,
    mechanism: Mechanism = "SCRAM-SHA-512",
    *,
    password: str = PASSWORD,
    ca_file: Path | None = None,
) -> KafkaConfig:
    return KafkaConfig(
        bootstrap=kafka.bootstrap_for(protocol),
        prefix=f"s{uuid4().hex[:12]}.",
        security=KafkaSecurity(
            protocol=protocol,
            mechanism=mechanism,
            user=USER,
            password=password,
            ca_file=ca_file,
        ),
    )


@pytest.mark.parametrize(
    ("protocol", "mechanism"),
    [
        ("SSL", "PLAIN"),  # a mechanism without a login is passed over
        ("SASL_PLAINTEXT", "PLAIN"),
        ("SASL_PLAINTEXT", "SCRAM-SHA-256"),
        ("SASL_PLAINTEXT", "SCRAM-SHA-512"),
        ("SASL_SSL", "PLAIN"),
        ("SASL_SSL", "SCRAM-SHA-256"),
        ("SASL_SSL", "SCRAM-SHA-512"),
    ],
)
async def test_every_part_of_the_log_is_let_in(
    secured: SecuredKafka, protocol: Protocol, mechanism: Mechanism
) -> None:
    own = config(secured, protocol, mechanism, ca_file=secured.ca_file)
    async with open_kafka(own) as log:
        assert len(await log.create(TOPICS)) == len(TOPICS)
        await append(log, raw(0), "appended")
        async with log.own(0) as writer:
            await writer.commit({raw(0).topic: [entry("committed")]})
        assert texts(await read_one(log, raw(0))) == ["appended", "committed"]
        async with log.member("readers", instance="one") as membership:
            assert await membership.changed() == {0, 1, 2}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_a_wrong_password_is_said_without_saying_it(
    secured: SecuredKafka, mechanism: Mechanism
) -> None:
    wrong = config(secured, "SASL_PLAINTEXT", mechanism, password="a-wrong-one")
    with pytest.raises(LogUnavailable, match="SaslAuthenticationFailed") as caught:
        async with open_kafka(wrong):
            pass
    assert "a-wrong-one" not in f"{caught.value}"


@pytest.mark.parametrize("authority", ["none", "another"])
async def test_a_broker_whose_certificate_is_not_signed_is_not_talked_to(
    secured: SecuredKafka, tmp_path: Path, authority: str
) -> None:
    ca_file = make_ca(tmp_path, authority) if authority == "another" else None
    unsigned = config(secured, "SASL_SSL", ca_file=ca_file)
    with pytest.raises(LogUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        async with open_kafka(unsigned):
            pass


async def test_no_login_where_one_is_wanted_says_where_to_look(
    secured: SecuredKafka,
) -> None:
    bare = KafkaConfig(secured.bootstrap_for("SASL_PLAINTEXT"))
    with pytest.raises(LogUnavailable, match="check the security settings"):
        async with open_kafka(bare):
            pass


async def test_the_settings_reach_the_broker(
    secured: SecuredKafka, tmp_path: Path
) -> None:
    settings = {
        "environment": "development",
        "log": f"kafka://{secured.bootstrap_for('SASL_SSL')}",
        "kafka_protocol": "SASL_SSL",
        "kafka_user": USER,
        "kafka_password": PASSWORD,
        "kafka_ca_file": secured.ca_file,
    }
    applied = await run("topics", "apply", cwd=tmp_path, **settings)
    assert applied.code == 0, applied
    wrong = {**settings, "kafka_password": "a-wrong-one"}
    refused = await run("topics", "show", cwd=tmp_path, **wrong)
    assert refused.code == 1
    (line,) = refused.err.splitlines()
    assert "Invalid username or password" in line or "invalid credentials" in line
    assert "a-wrong-one" not in line
