"""The real nginx, HAProxy and Caddy, run from the files in deploy/proxies.

A file is used as it is printed. Only what an operator has to replace is replaced: the
name of the site, the port, the certificate and the addresses of the edges.
"""

import asyncio
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.ports import free_port
from tests.support.shared_data import ROOT

PROXIES = ("nginx", "haproxy", "caddy")
HOST = "127.0.0.1"
_FOLDER = ROOT / "deploy" / "proxies"
# The addresses of the edges as they are printed.
_EDGES = ("127.0.0.1:1999", "127.0.0.1:2000")
_START_S = 20.0
_RETRY_S = 0.02
_NGINX = """\
{user}daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/feed.conf;
}}
"""


@dataclass(frozen=True, slots=True)
class ReverseProxy:
    """A running proxy that ends TLS in front of edges."""

    name: str
    port: int
    trust: ssl.SSLContext

    @property
    def host(self) -> str:
        """Host and port, as in the ``Host`` header of its clients."""
        return f"localhost:{self.port}"

    @property
    def origin(self) -> str:
        """The origin of the pages that it serves."""
        return f"https://{self.host}"


@asynccontextmanager
async def reverse_proxy(
    name: str, folder: Path, edges: Sequence[int]
) -> AsyncIterator[ReverseProxy]:
    """Run a proxy in front of the edges on these ports of this machine.

    One edge stands in for both of the file's. Skips the test where the program is
    missing.
    """
    program = shutil.which(name, path=f"{os.defpath}:/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip(f"needs {name}: apt install {name}")
    port = free_port(HOST)
    _make_certificate(folder)
    arguments = _WRITERS[name](folder, port, [f"{HOST}:{edge}" for edge in edges])
    with (folder / "output").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            cwd=folder,
            env={"HOME": f"{folder}", "PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        if not await _accepts(port, process):
            raise AssertionError(_text_of(folder / "output"))
        trust = ssl.create_default_context(cafile=folder / "cert.pem")
        yield ReverseProxy(name, port, trust)
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(_START_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _accepts(port: int, process: asyncio.subprocess.Process) -> bool:
    """Wait until the program accepts connections; false if it ended instead."""
    async with asyncio.timeout(_START_S):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(_RETRY_S)  # another process sets no event of ours
            else:
                writer.close()
                await writer.wait_closed()
                return True
    return False


def _text_of(path: Path) -> str:
    return path.read_text(errors="replace")


def _make_certificate(folder: Path) -> None:
    """Write a certificate for localhost, its key, and a file with both."""
    folder.mkdir()
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl, to make a certificate: apt install openssl")
    command = (
        "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 "
        "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 "
        "-keyout key.pem -out cert.pem"
    )
    subprocess.run(  # noqa: S603 - the path comes from which()
        [openssl, *command.split()], cwd=folder, check=True, capture_output=True
    )
    both = (folder / "cert.pem").read_text() + (folder / "key.pem").read_text()
    (folder / "both.pem").write_text(both)


def _replaced(text: str, replacements: Mapping[str, str]) -> str:
    for old, new in replacements.items():
        assert old in text, f"{old!r} is not in the file any more"
        text = text.replace(old, new)
    return text


def _with_edges(text: str, edges: Sequence[str]) -> str:
    """Put in the addresses of the edges; one edge takes the place of both."""
    return _replaced(text, dict(zip(_EDGES, (edges[0], edges[-1]), strict=True)))


def _write_nginx(folder: Path, port: int, edges: Sequence[str]) -> list[str]:
    certificates = "/etc/ssl/feed.example.org"
    text = _replaced(
        _with_edges((_FOLDER / "nginx.conf").read_text(), edges),
        {
            "listen 443 ": f"listen {HOST}:{port} ",
            f"{certificates}/fullchain.pem": f"{folder}/cert.pem",
            f"{certificates}/privkey.pem": f"{folder}/key.pem",
            "server_name feed.example.org": "server_name localhost",
        },
    )
    (folder / "feed.conf").write_text(text)
    # Started by root its workers would be another user, who may not enter the folder.
    user = "user root;\n" if os.geteuid() == 0 else ""
    main = folder / "nginx.conf"
    main.write_text(_NGINX.format(folder=folder, user=user))
    return ["-p", f"{folder}", "-c", f"{main}", "-e", f"{folder}/error.log"]


def _write_haproxy(folder: Path, port: int, edges: Sequence[str]) -> list[str]:
    text = _replaced(
        _with_edges((_FOLDER / "haproxy.cfg").read_text(), edges),
        {
            "bind :443 ": f"bind {HOST}:{port} ",
            "/etc/haproxy/feed.example.org.pem": f"{folder}/both.pem",
        },
    )
    path = folder / "haproxy.cfg"
    path.write_text(text)
    return ["-db", "-f", f"{path}"]


def _write_caddy(folder: Path, port: int, edges: Sequence[str]) -> list[str]:
    # Without an administration port and without asking an authority for a certificate.
    grace = "\tgrace_period 5s\n"
    site = f"https://localhost:{port}"
    certificate = f"tls {folder}/cert.pem {folder}/key.pem"
    text = _replaced(
        _with_edges((_FOLDER / "Caddyfile").read_text(), edges),
        {
            grace: "\tadmin off\n\tauto_https off\n\tgrace_period 1s\n",
            "\nfeed.example.org {\n": f"\n{site} {{\n\t{certificate}\n",
        },
    )
    path = folder / "Caddyfile"
    path.write_text(text)
    return ["run", "--config", f"{path}", "--adapter", "caddyfile"]


_WRITERS = {"nginx": _write_nginx, "haproxy": _write_haproxy, "caddy": _write_caddy}
