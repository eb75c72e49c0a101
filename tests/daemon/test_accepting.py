"""Who comes in, and who is one too many."""

import contextlib
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from crmsync.daemon.accepting import Door
from crmsync.daemon.crm_api.server import MOST_OPEN
from tests.servers.embedded_crm import embedded_crm


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def door(stack: ExitStack, most: int, each: int | None = None) -> Door:
    return stack.enter_context(Door.of(socket.create_server(("127.0.0.1", 0)), most, each))


def comes(stack: ExitStack, to: Door, whence: str = "127.0.0.1") -> socket.socket | None:
    """Our end of the connection; None where the door hung up."""
    there = stack.enter_context(socket.create_connection(to.getsockname(), 20, source_address=(whence, 0)))
    try:
        accepted, _ = to.accept()
    except ConnectionAbortedError:
        assert there.recv(1) == b""
        return None
    return stack.enter_context(accepted)


def test_no_more_than_there_is_room_for(opened: ExitStack):
    entrance = door(opened, 2)
    first, second = comes(opened, entrance), comes(opened, entrance)
    assert first is not None
    assert second is not None
    assert comes(opened, entrance) is None
    first.close()
    assert comes(opened, entrance) is not None


def test_one_address_does_not_take_all_the_room_but_a_proxy_here_may(opened: ExitStack):
    entrance = door(opened, 5, 1)
    assert comes(opened, entrance, "127.0.0.9") is not None
    assert comes(opened, entrance, "127.0.0.9") is None
    assert comes(opened, entrance, "127.0.0.10") is not None
    assert all(comes(opened, entrance) is not None for _ in range(3))
    assert comes(opened, entrance, "127.0.0.11") is None


def test_idle_connections_leave_the_crm_its_descriptors():
    with embedded_crm() as crm, ExitStack() as stack:
        host, port = "127.0.0.1", int(crm.url.rpartition(":")[2])
        idle = [stack.enter_context(socket.create_connection((host, port), 20)) for _ in range(MOST_OPEN + 1)]
        idle[-1].settimeout(20)
        with contextlib.suppress(ConnectionResetError):
            assert idle[-1].recv(1) == b""
        idle[0].sendall(b"GET /services/data HTTP/1.1\r\nHost: x\r\n\r\n")
        idle[0].settimeout(20)
        assert idle[0].recv(12).startswith(b"HTTP/1.1 ")
