"""A server with three people, and logins that are closed in the end."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from crmsync.connectors.contract import Kind
from crmsync.connectors.ews.auth import Basic
from crmsync.connectors.ews.connector import EwsConnector, EwsSource
from tests.servers.ews.person import EwsPerson
from tests.servers.ews.server import EwsServer, ews

ALICE, BOB, SERVICE = "alice@example.com", "bob@example.com", "service@example.com"
KINDS = {"contacts": Kind.CONTACT, "calendar": Kind.APPOINTMENT, "tasks": Kind.TASK}

Opened = Callable[..., EwsSource]


@pytest.fixture
def server() -> Iterator[EwsServer]:
    with ews(ALICE, BOB, SERVICE) as server:
        yield server
        assert server.outbox == []
        assert server.operations.forced == []


@pytest.fixture
def login(server: EwsServer) -> Iterator[Opened]:
    with ExitStack() as stack:

        def opened(user: str = ALICE, **options: Any) -> EwsSource:
            source = EwsSource(server.url, options.pop("by", None) or Basic(*server.login(user)), **options)
            stack.callback(source.close)
            return source

        yield opened


def folder(source: EwsSource, name: str) -> EwsConnector:
    """By the name that Outlook shows."""
    (collection,) = (c for c in source.collections() if c.name == name)
    return source.open(collection)


def person(server: EwsServer, known: str, owner: str = ALICE) -> EwsPerson:
    return EwsPerson(server.place, server.place.mailboxes[owner].known(known))
