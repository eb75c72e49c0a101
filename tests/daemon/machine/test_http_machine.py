"""The same story over real HTTP: the connectors as they are, people with raw requests, faults on the line.

``CRMSYNC_MACHINE=nightly`` tries many more and longer stories, others each time.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from crmsync.connectors.errors import AuthExpired, ConnectorError, Throttled, Unreachable
from tests.daemon.machine.http_house import HABITS, Hosts, HttpHouse, hosts
from tests.daemon.machine.premises import PEOPLE, SHARED, Premises
from tests.daemon.machine.real_house import RealHosts, RealHouse, real_hosts
from tests.daemon.machine.test_machine import Story, few_columns, pick, servers
from tests.daemon.machine.trouble import Point

QUIRKS = ("no external id", *sorted(HABITS))
REQUESTS = (
    *("changes", "fetch", "search", "access", "create", "update", "delete"),
    *("collections", "describe", "user_id", "login"),
)
errors = st.sampled_from(
    (
        Unreachable("the line is dead"),
        Throttled("too many requests", retry_after=60.0),
        AuthExpired("who are you?"),
        Unreachable("500"),
        Unreachable("502"),
    )
)


class HttpStory(Story):
    hosts: Hosts

    def build(self, quirks: set[str]) -> Premises:
        return HttpHouse(self.hosts, Path(self.folder.name), quirks)

    @initialize(quirks=st.sets(st.sampled_from(QUIRKS), max_size=3), mail=st.booleans())
    def begin(self, quirks: set[str], mail: bool) -> None:
        self._begin(quirks, mail)
        self.careless = True  # a batch for the CRM has no preconditions

    @rule(
        server=servers,
        operation=st.sampled_from(REQUESTS),
        error=errors,
        after=st.booleans(),
        skip=st.integers(0, 2),
        times=st.integers(1, 3),
    )
    def fail(
        self, server: str, operation: str, error: ConnectorError, after: bool, skip: int, times: int
    ) -> None:
        self.house.servers[server].faults.fail(operation, error, after=after, skip=skip, times=times)

    @rule(
        server=st.sampled_from((*PEOPLE, SHARED)), number=pick, columns=few_columns, skip=st.integers(0, 20)
    )
    def edit_in_the_middle(self, server: str, number: int, columns: Sequence[str], skip: int) -> None:
        def act(_: Point) -> None:
            if item := self._some(server, number):
                self._edit(server, item, columns, "new")

        self.house.fate.plan(act, at=lambda p: p.where != "state", skip=skip)
        self._run(self.house.engine.sync)


@contextmanager
def over_http() -> Iterator[type[Story]]:
    """The story, on servers of its own."""
    with hosts() as running:
        HttpStory.hosts = running
        yield HttpStory


class RealStory(HttpStory):
    """On a Radicale, which knows some of the quirks by nature, and none of the others."""

    def build(self, quirks: set[str]) -> Premises:
        assert isinstance(self.hosts, RealHosts)
        return RealHouse(self.hosts, Path(self.folder.name), quirks)

    @initialize(external_id=st.booleans(), mail=st.booleans())
    def begin(self, external_id: bool, mail: bool) -> None:
        super().begin(set() if external_id else {"no external id"}, mail)


@contextmanager
def over_a_real_server() -> Iterator[type[Story]]:
    with real_hosts() as running:
        RealStory.hosts = running
        yield RealStory


settings.register_profile(
    "http machine", parent=settings.get_profile("machine"), max_examples=10, stateful_step_count=20
)
settings.register_profile(
    "real machine", parent=settings.get_profile("machine"), max_examples=4, stateful_step_count=20
)
PROFILES = {"machine": "http machine", "nightly": "nightly"}


@pytest.mark.server
def test_story_over_http() -> None:
    profile = PROFILES[os.environ.get("CRMSYNC_MACHINE", "machine")]
    with over_http() as story:
        run_state_machine_as_test(story, settings=settings.get_profile(profile))


@pytest.mark.server
def test_story_over_a_real_server() -> None:
    nightly = os.environ.get("CRMSYNC_MACHINE") == "nightly"
    with over_a_real_server() as story:
        run_state_machine_as_test(
            story, settings=settings.get_profile("nightly" if nightly else "real machine")
        )
