"""Puts together the web services on a replica."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from crmsync.connectors.http import Http
from crmsync.connectors.salesforce import soap_login
from crmsync.connectors.salesforce.client import Client
from crmsync.connectors.salesforce.direct import Direct
from crmsync.daemon.replica.crm import ReplicaCrm
from crmsync.daemon.replica.direct import Through
from crmsync.daemon.replica.line import Line
from crmsync.daemon.replica.login import Login, Verify
from crmsync.daemon.replica.upstream import Upstream
from crmsync.state.replica.local.database import LocalDatabase
from crmsync.state.replica.local.difference import Policy
from crmsync.state.replica.local.identity import Identity
from crmsync.state.replica.org import Client as Application

__all__ = ["server_clock", "verifier", "web_services"]


class Clocked(Protocol):
    def clock_offset(self) -> timedelta: ...


def web_services(
    database: LocalDatabase,
    client: Client,
    upstream: Upstream,
    verify: Verify,
    line: Line,
    *,
    applications: tuple[Application, ...] = (),
    policy: Policy = Policy.LATEST,
    clock: Callable[[], datetime],
) -> ReplicaCrm:
    """`client` and `upstream` are the replica's own login; `verify` asks the CRM about a person's password.
    `applications` may log in by OAuth, beside everybody who does by SOAP."""
    login = Login(database, verify, line)
    through = Through(line, upstream, Direct(client), policy)
    told = server_clock(clock, client)
    return ReplicaCrm(database, login, through, clients=applications, clock=told)


def server_clock(clock: Callable[[], datetime], client: Clocked) -> Callable[[], datetime]:
    return lambda: clock() + client.clock_offset()


def verifier(http: Http, url: str) -> Verify:
    """Asks the CRM at this address."""

    def verify(username: str, password: str) -> Identity:
        who = soap_login.log_in(http, url, username, password)
        return Identity(
            who.organisation, who.user, who.username, who.organisation_name, who.name, who.email, who.profile,
            who.language, who.locale, who.time_zone,
        )  # fmt: skip

    return verify
