"""Files on appointments and tasks, and bodies of rich text."""

import base64

import pytest
from lxml import etree

from crmsync.connectors.contract import Done, Kind, Record, Update
from crmsync.connectors.errors import NotFound, Throttled
from crmsync.connectors.ews import files, wire
from crmsync.connectors.mail.settings import Settings
from tests.connectors.ews.conftest import ALICE, KINDS, Opened, folder, person
from tests.servers.ews.place import Item
from tests.servers.ews.schema import T
from tests.servers.ews.server import EwsServer

RICH = "<html><body><p>Bring <b>numbers</b></p></body></html>"


def attach(server: EwsServer, item: Item, name: str, content: bytes, **more: str) -> None:
    """As Outlook does."""
    parts = {"Name": name, **more, "Content": base64.b64encode(content).decode()}
    inside = "".join(f"<t:{n}>{v}</t:{n}>" for n, v in parts.items())
    file = etree.fromstring(f'<t:FileAttachment xmlns:t="{T[1:-1]}">{inside}</t:FileAttachment>')
    request = wire.element(
        "m:CreateAttachment",
        wire.element("m:ParentItemId", Id=item.id),
        wire.element("m:Attachments", file),
    )
    with server.place.lock:
        server.operations.create_attachment(_Alice(), request)


class _Alice:
    user = ALICE


@pytest.mark.parametrize(("known", "name"), [("calendar", "Calendar"), ("tasks", "Tasks")])
def test_files_travel_up_to_a_size(server: EwsServer, login: Opened, known: str, name: str) -> None:
    id = person(server, known).add("Budget")
    item = server.place.mailboxes[ALICE].known(known).items[id]
    attach(server, item, "C:\\plans\\plan.pdf", b"small", ContentType="application/pdf")
    attach(server, item, "film.avi", b"x" * 100)
    attach(server, item, "logo.png", b"tiny", IsInline="true")
    opened = folder(login(mail=Settings(attachment_limit=50)), name)
    (record,) = opened.fetch([id])
    assert isinstance(record, Record)
    large, file = sorted(record.attachments, key=lambda each: each.name)
    assert (large.name, large.read()) == (
        "film.avi (not copied).txt",
        b"film.avi: 100 bytes, larger than 50 bytes; it stays in Exchange.\n",
    )
    assert record.columns.get("attachments") == (("film.avi", "plan.pdf") if known == "calendar" else None)
    assert (file.name, file.type, file.size) == ("plan.pdf", "application/pdf", 5)
    assert file.read() == b"small"
    server.fail("GetAttachment", "ErrorServerBusy")
    with pytest.raises(Throttled):
        file.read()
    item.attachments.clear()
    with pytest.raises(NotFound):
        file.read()


def test_files_are_named_whatever_their_size(server: EwsServer) -> None:
    id = person(server, "calendar").add("Budget")
    item = server.place.mailboxes[ALICE].known("calendar").items[id]
    attach(server, item, "film.avi", b"x" * 100)
    attach(server, item, "logo.png", b"tiny", IsInline="true")
    shown = etree.Element(T + "CalendarItem")
    shown.append(etree.SubElement(shown, T + "Attachments"))
    shown[0].extend(item.attachments.values())
    assert files.names(shown) == ("film.avi",)


@pytest.mark.parametrize("known", KINDS)
def test_rich_text_stays_until_somebody_edits_the_text(server: EwsServer, login: Opened, known: str) -> None:
    """The CRM holds plain text only: that it says the same is no edit."""
    kind, column = KINDS[known], "notes" if known == "contacts" else "description"
    id = person(server, known).add("Budget")
    body = etree.Element(T + "Body", BodyType="HTML")
    body.text = RICH
    item = server.place.mailboxes[ALICE].known(known).items[id]
    item.fields["Body"] = body
    opened = folder(login(), {"contacts": "Contacts", "calendar": "Calendar", "tasks": "Tasks"}[known])
    (record,) = opened.fetch([id])
    assert isinstance(record, Record)
    assert record.columns[column] == "Bring numbers"
    same = {column: "Bring numbers", "categories": ("Blue",)}
    (done,) = opened.apply([Update(id, record.version, kind, same, tag="CRM")])
    assert isinstance(done, Done)
    assert (item.fields["Body"].get("BodyType"), item.text("Body")) == ("HTML", RICH)
    (done,) = opened.apply([Update(id, done.version, kind, {column: "Bring coffee"})])
    assert isinstance(done, Done)
    assert done.record is not None
    assert done.record.columns[column] == "Bring coffee"
    assert item.fields["Body"].get("BodyType") == "Text"


def test_a_date_of_a_series_keeps_its_rich_text(server: EwsServer, login: Opened) -> None:
    from tests.connectors.ews.test_series import Desk

    desk = Desk(server, login)
    id = desk.add()
    body = etree.Element(T + "Body", BodyType="HTML")
    body.text = RICH
    desk.item(id).fields["Body"] = body
    assert isinstance(desk.update(f"{id}#20260316", location="Room 9"), Done)
    (own,) = desk.item(id).exceptions.values()
    assert own.text("Body") == RICH
    assert Kind.APPOINTMENT in desk.shown.capabilities.columns
