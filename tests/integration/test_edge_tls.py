"""An edge whose port speaks TLS."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from app import cli
from edge.config import Access
from edge.listening import tls_of
from tests.support.serving import (
    CHA,
    LONG_S,
    Listener,
    Serving,
    config_of,
    serving,
    two_prices,
    update_of,
)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a file with a key and the certificate it signed for itself."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("needs the openssl program, to make a certificate")
    made = tmp_path / "edge.pem"
    command = (
        "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 "
        "-subj /CN=edge -addext subjectAltName=IP:127.0.0.1 -keyout key -out cert"
    )
    subprocess.run(  # noqa: S603 - the path comes from which()
        [program, *command.split()], cwd=tmp_path, check=True, capture_output=True
    )
    made.write_text("".join((tmp_path / n).read_text() for n in ("key", "cert")))
    return made


@pytest.fixture
async def running(tmp_path: Path, certificate: Path) -> AsyncIterator[Serving]:
    access = Access(certificate=certificate)
    async with serving(tmp_path, before=two_prices, access=access, origins=()) as found:
        yield found


@pytest.fixture
def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate)


async def test_everything_is_served_over_tls(
    running: Serving, trusting: ssl.SSLContext
) -> None:
    url = f"wss://{running.host}/prices"
    async with connect(url, ssl=trusting) as connection:
        listener = Listener(connection)
        await listener.until_now()
        heard = await listener.asks("SUBSCRIBE", contractIds=[CHA])
        assert heard == [update_of(CHA, 0.4684)]
    async with (
        httpx.AsyncClient(verify=trusting, timeout=LONG_S) as http,
        http.stream(
            "GET",
            f"https://{running.host}/prices?tokens={CHA}",
            headers={"Accept": "text/event-stream"},
        ) as stream,
    ):
        async for line in stream.aiter_lines():
            if "PRICE_UPDATE" in line:
                break
        answer = await http.get(f"https://{running.host}/prices?tokens={CHA}")
        assert len(answer.json()["prices"]) == 1


async def test_without_tls_nothing_is_said(running: Serving) -> None:
    async with httpx.AsyncClient(timeout=LONG_S) as http:
        with pytest.raises(httpx.HTTPError):
            await http.get(f"http://{running.host}/prices")


async def test_health_says_in_words_that_it_does_not_trust_the_certificate(
    running: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(cli.main, ["health", f"https://{running.host}"]) == 1
    said = capsys.readouterr().err
    assert "its certificate is not to be trusted: self-signed certificate" in said


def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    with pytest.raises(OSError, match=r"wrong\.pem"):
        tls_of(config_of(access=Access(certificate=wrong)))
    wrong.write_text("no certificate")
    with pytest.raises(OSError, match=r"wrong\.pem"):
        tls_of(config_of(access=Access(certificate=wrong)))
