from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from crmsync.connectors.contract import Gone, Kind, Page, Record, Ref, Selection, Unreadable
from crmsync.connectors.errors import CursorExpired, Forbidden, NotFound
from crmsync.connectors.salesforce.changes import RESTART
from tests.connectors.salesforce.organisation import START, Organisation
from tests.connectors.salesforce.stub import (
    USER,
    Reply,
    Request,
    Stub,
    connector,
    contact,
    described,
    found,
    opened,
    refused,
    serving,
    source,
    stamp,
)

EVERYTHING = Selection()


def serve(org: Organisation) -> Callable[[Stub], None]:
    def attach(stub: Stub) -> None:
        stub.clock = lambda: org.now

    return attach


def ids(*pages: Page) -> list[int]:
    return [int(i.id[3:15]) for page in pages for i in page.items]


def test_without_changes_one_request_and_the_same_cursor() -> None:
    org = Organisation()
    org.rows = [contact(n, stamp(org.at(-3600))) for n in (1, 2)]
    with serving(org) as stub, connector(stub.url, now=lambda: org.now) as contacts:
        serve(org)(stub)
        (page,) = contacts.changes(None, EVERYTHING)
        assert ids(page) == [1, 2]
        asked = len(stub.requests)
        for minute in range(1, 4):
            org.now = org.at(60 * minute)
            (again,) = contacts.changes(page.cursor, EVERYTHING)
            assert again == Page((), page.cursor)
        assert len(stub.requests) == asked + 3
        assert all(r.path.endswith("/queryAll") for r in stub.requests[asked:])


def test_what_was_committed_late_is_seen_exactly_once() -> None:
    org = Organisation()
    with serving(org) as stub, connector(stub.url, now=lambda: org.now) as contacts:
        serve(org)(stub)
        (page,) = contacts.changes(None, EVERYTHING)
        org.rows.append(contact(1, stamp(org.at(30))))
        org.now = org.at(60)
        (page,) = contacts.changes(page.cursor, EVERYTHING)
        assert ids(page) == [1]
        org.rows.append(contact(2, stamp(org.at(20))))  # stamped before the last poll, visible after it
        seen = []
        for second in range(70, 400, 30):
            org.now = org.at(second)
            (page,) = contacts.changes(page.cursor, EVERYTHING)
            seen += ids(page)
        assert seen == [2]
        assert '"s"' not in page.cursor
        assert len(page.cursor) < 60


def test_a_second_edit_under_the_same_stamp_is_seen() -> None:
    org = Organisation()
    org.rows = [contact(1, stamp(org.now), FirstName="Ada")]
    with serving(org) as stub, connector(stub.url, now=lambda: org.now) as contacts:
        serve(org)(stub)
        (first,) = contacts.changes(None, EVERYTHING)
        org.rows = [contact(1, stamp(org.now), FirstName="Grace")]
        (page,) = contacts.changes(first.cursor, EVERYTHING)
        (before,), (after,) = first.items, page.items
        assert isinstance(before, Record)
        assert isinstance(after, Record)
        assert after.columns["first_name"] == "Grace"
        assert before.version != after.version
        org.now = org.at(60)
        (later,) = contacts.changes(None, EVERYTHING)
        assert isinstance(later.items[0], Record)
        assert later.items[0].version == stamp(org.at(0))


def test_a_long_answer_can_be_resumed_from_any_page() -> None:
    org = Organisation()
    with serving(org) as stub, connector(stub.url, now=lambda: org.now) as contacts:
        serve(org)(stub)
        (start,) = contacts.changes(None, EVERYTHING)
        org.now = org.at(1000)
        org.rows = [contact(n, stamp(org.at(10 * n))) for n in range(1, 51)]
        org.page = 7
        pages = list(contacts.changes(start.cursor, EVERYTHING))
        assert ids(*pages) == list(range(1, 51))
        for read in range(1, len(pages)):
            rest = list(contacts.changes(pages[read - 1].cursor, EVERYTHING))
            assert ids(*pages[:read], *rest) == list(range(1, 51))


def test_an_unfinished_first_listing_begins_again() -> None:
    org = Organisation()
    org.rows = [contact(n, stamp(org.at(-n * 100))) for n in range(1, 6)]
    org.page = 2
    with serving(org) as stub, connector(stub.url, now=lambda: org.now) as contacts:
        serve(org)(stub)
        pages = list(contacts.changes(None, EVERYTHING))
        assert [p.cursor == RESTART for p in pages] == [True, True, False]
        again = list(contacts.changes(pages[0].cursor, EVERYTHING))
        assert again == pages


def test_the_clock_is_the_servers() -> None:
    org = Organisation()
    ours = START + timedelta(hours=5)
    with serving(org) as stub, connector(stub.url, now=lambda: ours) as contacts:
        serve(org)(stub)
        (page,) = contacts.changes(None, EVERYTHING)
        org.rows = [contact(1, stamp(org.at(10)))]
        org.now = org.at(60)
        (page,) = contacts.changes(page.cursor, EVERYTHING)
        assert ids(page) == [1]


def test_a_server_that_tells_no_time() -> None:
    rows = [contact(1, stamp(START))]

    def script(_: Request) -> Reply:
        return Reply(found(*rows).data, headers={"Date": ""})

    with serving(script) as stub, connector(stub.url, now=lambda: START + timedelta(days=3)) as contacts:
        (page,) = contacts.changes(None, EVERYTHING)
        (page,) = contacts.changes(page.cursor, EVERYTHING)
        assert page.items == ()
        assert "SystemModstamp >= 2026-01-02T11:58:00.000Z" in stub.requests[-1].soql


@pytest.mark.parametrize(
    ("selection", "where"),
    [
        (EVERYTHING, ""),
        (Selection(owner=USER), f" WHERE OwnerId = '{USER}'"),
        (Selection(condition="Email != null OR Phone != null"), " WHERE (Email != null OR Phone != null)"),
        (Selection(owner=USER, condition="a = 1"), f" WHERE (OwnerId = '{USER}') AND ((a = 1))"),
    ],
)
def test_the_first_listing_is_selected_by_the_server(selection: Selection, where: str) -> None:
    with serving(lambda _: found()) as stub, connector(stub.url) as contacts:
        list(contacts.changes(None, selection))
        (request,) = stub.requests
        assert request.path.endswith("/query")
        assert request.soql.endswith(f" FROM Contact{where}")


def test_an_owner_that_is_no_id() -> None:
    with serving(lambda _: found()) as stub, connector(stub.url) as contacts, pytest.raises(ValueError):
        list(contacts.changes(None, Selection(owner="x' OR Id != '")))


def test_linked_only_starts_with_a_cursor_alone() -> None:
    with serving(lambda _: found(contact(1, stamp(START)))) as stub, connector(stub.url) as contacts:
        (page,) = contacts.changes(None, Selection(nothing=True))
        assert page.items == ()
        assert page.cursor
        assert len(stub.requests) == 1


def test_what_rows_say() -> None:
    now = datetime.now(UTC)
    old = stamp(now - timedelta(minutes=1))
    rows = [
        contact(1, old, IsDeleted=True, MasterRecordId="003000000000009AAA"),
        contact(2, old, Birthdate="never"),
        contact(3, old, Crmsync_Id__c="key-3", LastModifiedDate="2026-01-01T00:00:00.500+0000"),
    ]
    with (
        serving(lambda _: found(*rows)) as stub,
        connector(stub.url, external_id="Crmsync_Id__c") as contacts,
    ):
        (page,) = contacts.changes(None, EVERYTHING)
        gone, broken, record = page.items
        assert gone == Gone("003000000000001AAA", "003000000000009AAA", USER)
        assert broken == Ref("003000000000002AAA", old)
        assert isinstance(record, Record)
        assert (record.link, record.owner, record.version) == ("key-3", USER, old)
        assert record.modified == datetime(2026, 1, 1, 0, 0, 0, 500000, UTC)
        told = {i.id: i for i in contacts.fetch(["003000000000002AAA"])}
        assert isinstance(told["003000000000002AAA"], Unreadable)


def test_events_and_tasks_that_are_not_ours_to_touch() -> None:
    old = stamp(datetime.now(UTC) - timedelta(minutes=1))

    def row(number: int, **fields: object) -> dict[str, object]:
        return {**contact(number, old), "Subject": "s", **fields}

    rows = [
        row(1, IsRecurrence=True),
        row(2, IsRecurrence2=True),
        row(3, RecurrenceActivityId="00U000000000001AAA"),
        row(4, IsChild=True),
        row(5, IsPrivate=True),
        row(6, RecurrenceActivityId="00U000000000001AAA", IsRecurrence=True),
    ]
    with serving(lambda _: found(*rows)) as stub, connector(stub.url, Kind.APPOINTMENT) as events:
        (page,) = events.changes(None, EVERYTHING)
        told = [(i.untouchable, i.series, i.private) for i in page.items if isinstance(i, Record)]
        assert told == [
            ("recurring", "", False),  # how a series repeats; its dates are rows of their own
            ("", "003000000000002AAA", False),
            ("", "00U000000000001AAA", False),
            ("", "", True),
            ("recurring", "", False),
        ]
        assert len(list(events.listing())) == 5


def test_a_missing_field_is_left_out_and_reported() -> None:
    fields = {Kind.CONTACT: {"last_name": "LastName", "nickname": "Nickname__c"}}

    def script(request: Request) -> Reply:
        if request.path.endswith("/describe"):
            return described()
        if "Nickname__c" in request.soql or "Crmsync" in request.soql:
            return refused("INVALID_FIELD", 400, "No such column 'Nickname__c' on entity 'Contact'")
        return found()

    with serving(script) as stub:
        with source(stub.url, fields=fields, external_id="Crmsync_Id__c") as crm:
            contacts = opened(crm, Kind.CONTACT)
            assert "nickname" in contacts.capabilities.columns[Kind.CONTACT]
            assert contacts.capabilities.links
            (page,) = contacts.changes(None, EVERYTHING)
            assert contacts.capabilities.columns == {Kind.CONTACT: {"last_name"}}
            assert not contacts.capabilities.links
            assert contacts.capabilities is contacts.capabilities  # the cycle asks with each item
            assert contacts.project(Kind.CONTACT, {"nickname": "Ada", "last_name": "L"}) == {"last_name": "L"}
            assert crm.missing()[Kind.CONTACT].fields == ("Nickname__c", "Crmsync_Id__c")
            assert "Nickname__c" in str(crm.missing()[Kind.CONTACT])
            assert len([r for r in stub.requests if r.path.endswith("/describe")]) == 1
        asked = len(stub.requests)
        with connector(stub.url, fields=fields, external_id="Crmsync_Id__c") as contacts:  # another run
            list(contacts.changes(page.cursor, EVERYTHING))
            assert len(stub.requests) == asked + 1
            assert not contacts.capabilities.links


def test_a_condition_with_a_missing_field_is_not_blamed_on_the_mapping() -> None:
    def script(request: Request) -> Reply:
        if request.path.endswith("/describe"):
            return described()
        return refused("INVALID_FIELD", 400, "No such column 'Foo__c' on entity 'Contact'")

    with serving(script) as stub, connector(stub.url) as contacts, pytest.raises(Exception, match="Foo__c"):
        list(contacts.changes(None, Selection(condition="Foo__c = 1")))


@pytest.mark.parametrize("cursor", ["", "rubbish", "[]", '{"v":2}', '{"v":1,"t":"soon"}', '{"v":1,"t":7}'])
def test_a_cursor_that_cannot_be_read(cursor: str) -> None:
    with serving(lambda _: found()) as stub, connector(stub.url) as contacts, pytest.raises(CursorExpired):
        list(contacts.changes(cursor, EVERYTHING))


def test_a_cursor_older_than_the_recycle_bin() -> None:
    now = [START]
    with serving(lambda _: found()) as stub, connector(stub.url, now=lambda: now[0]) as contacts:
        stub.clock = lambda: now[0]
        (page,) = contacts.changes(None, EVERYTHING)
        now[0] += timedelta(days=15)
        with pytest.raises(CursorExpired):
            list(contacts.changes(page.cursor, EVERYTHING))


def test_a_quiet_cursor_is_renewed_every_day() -> None:
    now = [START]
    with serving(lambda _: found()) as stub, connector(stub.url, now=lambda: now[0]) as contacts:
        stub.clock = lambda: now[0]
        (page,) = contacts.changes(None, EVERYTHING)
        now[0] += timedelta(days=2)
        (again,) = contacts.changes(page.cursor, EVERYTHING)
        assert again.cursor != page.cursor


def without_query_all(org: Organisation, deleted: Callable[[Request], Reply]) -> Callable[[Request], Reply]:
    def script(request: Request) -> Reply:
        if request.path.endswith("/queryAll"):
            return refused("INSUFFICIENT_ACCESS", 403)
        return deleted(request) if "/deleted" in request.path else org(request)

    return script


def test_deletions_where_query_all_is_refused() -> None:
    org = Organisation()

    def deleted(request: Request) -> Reply:
        row = {"id": "003000000000007AAA", "deletedDate": stamp(org.at(30))}
        start = datetime.fromisoformat(request.query["start"])
        end = datetime.fromisoformat(request.query["end"])
        assert end - start > timedelta(minutes=1)
        assert end <= org.now
        shown = [row] if start <= org.at(30) < org.now else []
        return Reply(
            {
                "deletedRecords": shown,
                "earliestDateAvailable": stamp(org.at(-999999)),
                "latestDateCovered": stamp(end),
            }
        )

    with (
        serving(without_query_all(org, deleted)) as stub,
        connector(stub.url, now=lambda: org.now) as contacts,
    ):
        serve(org)(stub)
        (page,) = contacts.changes(None, EVERYTHING)
        seen = []
        for second in range(20, 600, 40):
            org.now = org.at(second)
            (page,) = contacts.changes(page.cursor, EVERYTHING)
            seen += page.items
        assert seen == [Gone("003000000000007AAA")]
        assert [r.path.rpartition("/")[2] for r in stub.requests].count("queryAll") == 1


def test_deletions_that_reach_too_far_back() -> None:
    org = Organisation()
    late = Reply(
        {
            "deletedRecords": [],
            "earliestDateAvailable": stamp(org.at(60)),
            "latestDateCovered": stamp(org.at(90)),
        }
    )
    with (
        serving(without_query_all(org, lambda _: late)) as stub,
        connector(stub.url, now=lambda: org.now) as contacts,
    ):
        serve(org)(stub)
        (page,) = contacts.changes(None, EVERYTHING)
        with pytest.raises(CursorExpired):
            list(contacts.changes(page.cursor, EVERYTHING))


@pytest.mark.parametrize(
    ("code", "status", "expected"), [("X", 403, Forbidden), ("INVALID_TYPE", 400, NotFound)]
)
def test_an_object_that_is_closed_to_us(code: str, status: int, expected: type[Exception]) -> None:
    with serving(lambda _: refused(code, status)) as stub, connector(stub.url) as contacts:
        with pytest.raises(expected):
            list(contacts.listing())
        with pytest.raises(expected):
            list(contacts.changes(None, EVERYTHING))
