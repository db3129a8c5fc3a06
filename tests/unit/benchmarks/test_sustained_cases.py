"""What the process at the other end of an address has used of the machine."""

import socket
from pathlib import Path

import pytest

from benchmarks.results import Result
from benchmarks.sustained_cases import Listener, sqlite_sustained


def test_the_listener_of_an_address_is_found_and_its_cpu_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = Listener(f"127.0.0.1:{server.getsockname()[1]}")
        used_s = listener.cpu_s()
    assert used_s is not None
    assert used_s >= 0


def test_nobody_listens_at_a_port_that_was_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert Listener(f"127.0.0.1:{port}").cpu_s() is None


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_backlog_is_worked_off_to_its_end(tmp_path: Path) -> None:
    rate, cores = sqlite_sustained(tmp_path, count=6_000)
    assert isinstance(rate, Result)
    assert rate.value > 0
    assert cores.unit == "cores by the processor"
