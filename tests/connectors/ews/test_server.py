"""The test server is one that exchangelib, as it is, takes for an Exchange server; and it refuses what one refuses."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
import urllib3
from exchangelib import (
    BASIC,
    DELEGATE,
    IMPERSONATION,
    Account,
    CalendarItem,
    Configuration,
    Contact,
    Credentials,
    EWSDate,
    EWSDateTime,
    EWSTimeZone,
    FaultTolerance,
    FileAttachment,
    Message,
    Task,
)
from exchangelib.errors import (
    ErrorAccessDenied,
    ErrorImpersonateUserDenied,
    ErrorInvalidSyncStateData,
    ErrorIrresolvableConflict,
    ErrorItemNotFound,
    ErrorQuotaExceeded,
    ErrorServerBusy,
    UnauthorizedError,
)
from exchangelib.extended_properties import ExternId
from exchangelib.items import NEVER_OVERWRITE, SEND_TO_ALL_AND_SAVE_COPY
from exchangelib.protocol import close_connections

from tests.servers.ews.server import EwsServer, ews

ALICE, BOB = "alice@example.com", "bob@example.com"


@pytest.fixture
def server() -> Iterator[EwsServer]:
    with ews(ALICE, BOB) as server:
        yield server
        close_connections()


@contextmanager
def extern_id() -> Iterator[None]:
    """exchangelib registers properties for the whole process."""
    Contact.register("extern", ExternId)
    try:
        yield
    finally:
        Contact.deregister("extern")


def account(server: EwsServer, user: str = ALICE, *, of: str = "", access: str = DELEGATE) -> Account:
    credentials = Credentials(user, server.place.mailboxes[user].password)
    config = Configuration(service_endpoint=server.url, credentials=credentials, auth_type=BASIC)
    berlin = EWSTimeZone("Europe/Berlin")
    return Account(of or user, config=config, access_type=access, default_timezone=berlin)


def test_contacts_are_made_found_changed_and_deleted(server: EwsServer) -> None:
    with extern_id():
        alice = account(server)
        ada = Contact(
            folder=alice.contacts,
            account=alice,
            display_name="Ada",
            given_name="Ada",
            body="a\nb",
            extern="k1",
        ).save()
        assert [c.given_name for c in alice.contacts.filter(extern="k1")] == ["Ada"]
        assert not list(alice.contacts.filter(extern="k2"))
        ada.given_name, ada.categories = "Augusta", ["CRM"]
        ada.save(update_fields=["given_name", "categories"])
        (found,) = alice.contacts.filter(categories__contains=["CRM"])
        assert (found.given_name, found.body) == ("Augusta", "a\r\nb")
        ada.delete()
        assert not alice.contacts.all().count()


def test_changes_follow_a_sync_state(server: EwsServer) -> None:
    alice = account(server)
    contacts = alice.contacts
    ada, eve = (Contact(folder=contacts, account=alice, display_name=n).save() for n in ("Ada", "Eve"))
    assert [kind for kind, _ in contacts.sync_items()] == ["create", "create"]
    Contact(folder=contacts, account=alice, display_name="Bea").save()
    ada.save(update_fields=["display_name"])
    eve.delete()
    changes = list(contacts.sync_items(only_fields=["display_name"], max_changes_returned=1))
    assert sorted(kind for kind, _ in changes) == ["create", "delete", "update"]
    assert not list(contacts.sync_items())
    contacts.item_sync_state = "nonsense"
    with pytest.raises(ErrorInvalidSyncStateData):
        list(contacts.sync_items())


def test_appointments_and_tasks_keep_their_days(server: EwsServer) -> None:
    alice = account(server)
    berlin = EWSTimeZone("Europe/Berlin")
    nine, ten = (EWSDateTime(2026, 3, 2, hour, tzinfo=berlin) for hour in (9, 10))
    CalendarItem(folder=alice.calendar, account=alice, subject="Budget", start=nine, end=ten).save()
    day = EWSDate(2026, 3, 2)
    CalendarItem(
        folder=alice.calendar, account=alice, subject="Fair", start=day, end=day, is_all_day=True
    ).save()
    found = {i.subject: (i.start, i.end) for i in alice.calendar.all()}
    assert found == {"Budget": (nine, ten), "Fair": (day, day)}
    assert [i.subject for i in alice.calendar.view(start=nine, end=ten)]
    task = Task(folder=alice.tasks, account=alice, subject="Call", due_date=EWSDate(2026, 3, 9)).save()
    task.percent_complete = Decimal(100)
    task.save(update_fields=["percent_complete"])
    (found_task,) = alice.tasks.all()
    assert (found_task.due_date, found_task.status) == (EWSDate(2026, 3, 9), "Completed")
    assert found_task.complete_date


def test_a_change_key_of_before_is_a_conflict(server: EwsServer) -> None:
    alice = account(server)
    ada = Contact(folder=alice.contacts, account=alice, display_name="Ada").save()
    (same,) = alice.contacts.all()
    same.save(update_fields=["display_name"])
    with pytest.raises(ErrorIrresolvableConflict):
        ada.save(update_fields=["display_name"], conflict_resolution=NEVER_OVERWRITE)


def test_mail_moves_and_has_attachments(server: EwsServer) -> None:
    alice = account(server)
    mail = Message(folder=alice.inbox, account=alice, subject="Hello", body="x").save()
    mail.attach(FileAttachment(name="a.txt", content=b"abc"))
    (found,) = alice.inbox.all()
    assert [(a.name, a.content) for a in found.attachments] == [("a.txt", b"abc")]
    mail.move(alice.drafts)
    assert [alice.inbox.all().count(), alice.drafts.all().count()] == [0, 1]
    assert [m.email_address for m in alice.protocol.resolve_names(["bob"])] == [BOB]
    assert server.outbox == []


def test_what_would_be_sent_stands_in_the_outbox(server: EwsServer) -> None:
    alice = account(server)
    nine = EWSDateTime(2026, 3, 2, 9, tzinfo=EWSTimeZone("Europe/Berlin"))
    meeting = CalendarItem(
        folder=alice.calendar, account=alice, subject="Meet", start=nine, end=nine, required_attendees=[BOB]
    )
    meeting.save()
    assert server.outbox == []
    meeting.save(update_fields=["subject"], send_meeting_invitations=SEND_TO_ALL_AND_SAVE_COPY)
    assert server.outbox == [(ALICE, "update", "Meet")]


def test_a_delegate_sees_what_was_shared_and_nothing_else(server: EwsServer) -> None:
    server.place.mailboxes[BOB].known("calendar").rights[ALICE] = "Reviewer"
    of_bob = account(server, ALICE, of=BOB)
    assert of_bob.calendar.name == "Calendar"
    assert of_bob.calendar.id == server.place.mailboxes[BOB].known("calendar").id
    with pytest.raises(ErrorAccessDenied):
        CalendarItem(
            folder=of_bob.calendar,
            account=of_bob,
            subject="x",
            start=EWSDate(2026, 1, 1),
            is_all_day=True,
            end=EWSDate(2026, 1, 1),
        ).save()
    with pytest.raises(ErrorAccessDenied):
        of_bob.contacts.all().count()
    (delegate,) = account(server, BOB).delegates
    assert delegate.user_id.primary_smtp_address == ALICE
    assert delegate.delegate_permissions.calendar_folder_permission_level == "Reviewer"


def test_impersonation_needs_the_right_to(server: EwsServer) -> None:
    with pytest.raises(ErrorImpersonateUserDenied):
        assert account(server, ALICE, of=BOB, access=IMPERSONATION).contacts
    server.impersonators.add(ALICE)
    assert account(server, ALICE, of=BOB, access=IMPERSONATION).contacts.all().count() == 0


def test_a_wrong_password_is_refused(server: EwsServer) -> None:
    config = Configuration(
        service_endpoint=server.url, credentials=Credentials(ALICE, "wrong"), auth_type=BASIC
    )
    with pytest.raises(UnauthorizedError):
        assert Account(ALICE, config=config, access_type=DELEGATE).contacts


def test_errors_that_a_test_asks_for(server: EwsServer) -> None:
    alice = account(server)
    ada = Contact(folder=alice.contacts, account=alice, display_name="Ada").save()
    server.busy("CreateItem", 90_000)
    with pytest.raises(ErrorServerBusy) as busy:
        Contact(folder=alice.contacts, account=alice, display_name="Bea").save()
    assert busy.value.back_off == 90.0
    server.fail("UpdateItem", "ErrorItemNotFound", item=ada.id)
    with pytest.raises(ErrorItemNotFound):
        ada.save(update_fields=["display_name"])
    server.place.mailboxes[ALICE].quota = 10
    with pytest.raises(ErrorQuotaExceeded):
        Contact(folder=alice.contacts, account=alice, display_name="Bea").save()
    assert isinstance(FaultTolerance(max_wait=1).max_wait, int)


def test_a_notification_arrives(server: EwsServer) -> None:
    alice = account(server)
    alice.protocol.max_connections = 2
    with alice.inbox.streaming_subscription() as subscription:
        Message(folder=alice.inbox, account=alice, subject="New").save()
        (told,) = alice.inbox.get_streaming_events(
            subscription, connection_timeout=1, max_notifications_returned=1
        )
        assert [type(event).__name__ for event in told.events] == ["CreatedEvent"]


_WRONG = {
    "an unknown element": "<t:Contact><t:Nonsense>x</t:Nonsense></t:Contact>",
    "the wrong order": "<t:Contact><t:Surname>x</t:Surname><t:GivenName>x</t:GivenName></t:Contact>",
    "twice": "<t:Contact><t:Surname>x</t:Surname><t:Surname>x</t:Surname></t:Contact>",
    "a wrong word": "<t:Contact><t:Sensitivity>Secret</t:Sensitivity></t:Contact>",
}


@pytest.mark.parametrize("wrong", _WRONG)
def test_what_breaks_the_schema_is_refused(server: EwsServer, wrong: str) -> None:
    body = f"""<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"
        xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"
        xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types">
        <s:Header><t:RequestServerVersion Version="Exchange2016"/></s:Header>
        <s:Body><m:CreateItem><m:Items>{_WRONG[wrong]}</m:Items></m:CreateItem></s:Body></s:Envelope>"""
    token = base64.b64encode(f"{ALICE}:secret".encode()).decode()
    answer = urllib3.request("POST", server.url, body=body, headers={"Authorization": f"Basic {token}"})
    assert answer.status == 500
    assert b"ErrorSchemaValidation" in answer.data
    assert not server.place.mailboxes[ALICE].known("contacts").items
