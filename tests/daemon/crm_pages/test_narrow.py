"""A replica need not have all objects and fields: the pages ask for what the describe has."""

import datetime
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from starlette.requests import Request

from crmsync.daemon.crm_api.api import build_api
from crmsync.daemon.crm_api.bulk.setup import Bulk
from crmsync.daemon.crm_api.messages import Call, Reply
from crmsync.daemon.crm_pages.app import addresses_of
from crmsync.daemon.crm_pages.desk import Desk
from crmsync.daemon.crm_pages.home import Home
from crmsync.daemon.crm_pages.listing import Listing
from crmsync.daemon.crm_pages.sessions import Session
from crmsync.daemon.crm_pages.site import Site, Visit
from crmsync.daemon.crm_pages.viewing import Viewing
from crmsync.state.replica.access import Caller
from tests.servers.embedded_crm import EmbeddedCrm

KEPT = {
    "Event": {"Id", "Subject", "StartDateTime"},
    "Task": {"Id", "Subject", "OwnerId"},
    "Contact": {"Id", "Name", "LastName", "AccountId"},
    "Account": {"Id", "Name"},
}


@pytest.fixture
def site(crm: EmbeddedCrm) -> Site:
    whole = build_api(crm.crm, Bulk(crm.crm))

    def narrow(call: Call) -> Reply:
        reply = whole(call)
        content: Any = reply.content
        if call.path == ("sobjects",):
            return Reply(200, {"sobjects": [each for each in content["sobjects"] if each["name"] in KEPT]})
        if call.path[-1] == "describe" and isinstance(content, Mapping):
            kept = [each for each in content["fields"] if each["name"] in KEPT[call.path[1]]]
            return Reply(200, {**content, "fields": kept})
        return reply

    return Site(crm.crm, narrow, addresses_of([crm.url], ()))


def visit(site: Site, crm: EmbeddedCrm, **path: str) -> Visit:
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/crm",
        "query_string": b"",
        "headers": [],
        "path_params": path,
    }
    desk = Desk(site.api, Caller(crm.alice.id, all_records=False))
    return Visit(Request(scope), Session("", "", "token"), desk, "Alice", ZoneInfo("UTC"))


def test_pages_of_few_fields(crm: EmbeddedCrm, site: Site):
    store, alice = crm.crm.store, Caller(crm.alice.id, all_records=False)
    soon = datetime.datetime(2030, 1, 1, 9).isoformat()
    account, contact, *_ = (
        each.id or ""
        for each in store.create(
            alice,
            [
                ("Account", {"Name": "Narrow Ltd"}),
                ("Contact", {"LastName": "Narrow"}),
                ("Event", {"Subject": "Narrow event", "StartDateTime": soon, "DurationInMinutes": 5}),
                ("Task", {"Subject": "Narrow task"}),
            ],
        )
    )
    home = bytes(Home(site).page(visit(site, crm)).body).decode()
    assert "Narrow event" in home
    assert "Narrow task" in home
    for name in KEPT:
        assert b"Narrow" in bytes(Listing(site).page(visit(site, crm, object=name)).body)
    for record in (account, contact):
        assert b"Narrow" in bytes(Viewing(site).page(visit(site, crm, id=record)).body)
