"""What the driver is told, and what is never told to anybody."""

import ssl

import pytest

from eventlog.kafka.config import KafkaConfig, KafkaSecurity, driver_options


def test_no_secret_is_shown() -> None:
    security = KafkaSecurity(user="the-user", password="the-password")
    shown = repr(KafkaConfig("host:9092", prefix="p.", security=security))
    assert "the-user" not in shown
    assert "the-password" not in shown


def test_the_log_is_called_by_address_and_prefix() -> None:
    config = KafkaConfig("host:9092", prefix="p.")
    assert (config.where, config.topic("raw")) == ("kafka://host:9092/p.", "p.raw")


def test_the_drivers_limit_is_longer_than_ours() -> None:
    options = driver_options(KafkaConfig("host:9092"), limit_s=2.0)
    assert options["request_timeout_ms"] > 2_000
    assert "security_protocol" not in options


@pytest.mark.parametrize(
    ("security", "has_tls", "has_user"),
    [
        pytest.param(KafkaSecurity("SSL"), True, False, id="tls"),
        pytest.param(
            KafkaSecurity("SASL_PLAINTEXT", user="u", password="p"),
            False,
            True,
            id="sasl",
        ),
        pytest.param(KafkaSecurity(user="u", password="p"), True, True, id="both"),
    ],
)
def test_security_is_passed_on(
    security: KafkaSecurity, has_tls: bool, has_user: bool
) -> None:
    options = driver_options(KafkaConfig("h:1", security=security), limit_s=1.0)
    assert options["security_protocol"] == security.protocol
    assert isinstance(options.get("ssl_context"), ssl.SSLContext) is has_tls
    assert (options.get("sasl_plain_password") == "p") is has_user


def test_half_of_a_login_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a user"):
        KafkaSecurity(user="u")
