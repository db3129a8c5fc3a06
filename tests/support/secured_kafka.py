"""A broker that lets in only who logs in or comes by TLS, with a certificate authority.

Its certificates are made by the ``openssl`` program and end with the test run.
"""

import asyncio
import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from app.ports import free_port
from tests.support.broker_choice import has_maven
from tests.support.kafka_from_maven import _CLUSTER_ID, MavenKafka, artifacts

USER, PASSWORD = "feed", "not-a-secret"

_PROTOCOLS = ("SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
_PROPERTIES = """\
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
"""
_LOGINS = """\
listener.name.{listener}.plain.sasl.jaas.config={plain} required user_{user}="{password}";
listener.name.{listener}.scram-sha-256.sasl.jaas.config={scram} required;
listener.name.{listener}.scram-sha-512.sasl.jaas.config={scram} required;
"""


class SecuredKafka(MavenKafka):
    """A broker with one more listener for each protocol; ``ca_file`` signs its name."""

    def __init__(self, folder: Path, *, jars: Path) -> None:
        self.ca_file = make_ca(folder, "ca")
        _make_certificate(folder, "broker", ca="ca")
        self._ports = {protocol: free_port("127.0.0.1") for protocol in _PROTOCOLS}
        super().__init__(folder, jars=jars)

    def bootstrap_for(self, protocol: str) -> str:
        """Return the address at which this protocol is spoken."""
        return f"127.0.0.1:{self._ports[protocol]}"

    def _format(self) -> None:
        self._properties.write_text(self._secured(self._properties.read_text()))
        tool = ["kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID]
        login = f"name={USER},password={PASSWORD}"
        logins = [f"--add-scram={mechanism}=[{login}]" for mechanism in _MECHANISMS]
        subprocess.run(  # noqa: S603
            [*self._java(heap_mb=64), *tool, "-c", str(self._properties), *logins],
            capture_output=True,
            check=True,
        )

    def _secured(self, properties: str) -> str:
        """Return the properties with the listeners and what they need."""
        opened = "".join(f",{p}://127.0.0.1:{port}" for p, port in self._ports.items())
        spoken = "".join(f",{p}:{p}" for p in _PROTOCOLS)
        text = re.sub(
            r"(?m)^((?:advertised\.)?listeners=.*)$", rf"\1{opened}", properties
        )
        text = re.sub(r"(?m)^(listener\.security\..*)$", rf"\1{spoken}", text)
        logins = [
            _LOGINS.format(
                listener=protocol.lower(),
                plain=_PLAIN,
                scram=_SCRAM,
                user=USER,
                password=PASSWORD,
            )
            for protocol in _PROTOCOLS
            if protocol.startswith("SASL")
        ]
        return text + _PROPERTIES.format(folder=self._folder) + "".join(logins)


def make_ca(folder: Path, name: str) -> Path:
    """Make a certificate authority; return its certificate."""
    _openssl(
        *("req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt"),
        *("ec_paramgen_curve:prime256v1", "-days", "2", "-subj", f"/CN={name}"),
        *("-addext", "keyUsage=critical,keyCertSign"),
        *("-keyout", f"{name}.key", "-out", f"{name}.crt"),
        folder=folder,
    )
    return folder / f"{name}.crt"


def _make_certificate(folder: Path, name: str, *, ca: str) -> None:
    """Make the key of 127.0.0.1 and its certificate, together in a ``.pem`` file."""
    _openssl(
        *("req", "-nodes", "-newkey", "ec", "-pkeyopt"),
        *("ec_paramgen_curve:prime256v1", "-subj", f"/CN={name}"),
        *("-keyout", f"{name}.key", "-out", f"{name}.csr"),
        folder=folder,
    )
    extensions = "subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n"
    (folder / "extensions").write_text(extensions)
    _openssl(
        *("x509", "-req", "-in", f"{name}.csr", "-days", "2", "-CA", f"{ca}.crt"),
        *("-CAkey", f"{ca}.key", "-CAcreateserial", "-extfile", "extensions"),
        *("-out", f"{name}.crt"),
        folder=folder,
    )
    parts = [(folder / f"{name}.{part}").read_text() for part in ("key", "crt")]
    (folder / f"{name}.pem").write_text("".join(parts))


def _openssl(*arguments: str, folder: Path) -> None:
    program = shutil.which("openssl")
    assert program
    subprocess.run(  # noqa: S603 - the path comes from which()
        [program, *arguments], cwd=folder, check=True, capture_output=True
    )


@contextlib.contextmanager
def secured_kafka() -> Iterator[SecuredKafka]:
    """Run such a broker; skip the tests where it cannot be had."""
    if not (has_maven() and shutil.which("openssl")):
        pytest.skip("needs a broker with logins: install Java 17+, Maven and openssl")
    with TemporaryDirectory(prefix="kafka-") as folder:
        kafka = SecuredKafka(Path(folder), jars=artifacts())
        kafka.start()
        try:
            asyncio.run(kafka.ready())
            yield kafka
        finally:
            kafka.stop()
