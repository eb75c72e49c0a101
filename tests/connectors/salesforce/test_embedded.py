"""Against the embedded CRM, over HTTP."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from crmsync.connectors.abilities import Access, Probe
from crmsync.connectors.contract import (
    Columns,
    Create,
    Delete,
    Done,
    Gone,
    Kind,
    Outcome,
    Record,
    Selection,
    Stale,
    Update,
)
from crmsync.connectors.errors import AuthExpired, ProtocolError, Unreachable
from crmsync.connectors.salesforce.auth import ClientCredentials, Jwt, Password
from crmsync.connectors.salesforce.reading import SalesforceConnector
from tests.connectors.salesforce.stub import Request, connector, relay, serving, source
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm

EXTERNAL = "Crmsync_Id__c"
EVERYTHING = Selection()
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)

SAMPLES: dict[Kind, list[Columns]] = {
    Kind.CONTACT: [
        {
            "prefix": "Dr.",
            "first_name": "Ada",
            "last_name": 'O\'Neil "the" \\ 漢字 🎉',
            "email": "ada@example.com",
            "phone_mobile": "+49 30 123456",
            "address_work_street": "1 Sample Way\n2nd floor",
            "address_work_country": "Germany",
            "birthday": date(1980, 2, 29),
            "notes": "line one\nline two\n\n' OR Name != '",
        },
        {"first_name": "Nameless", "email": "nameless@example.com", "last_name": None},
    ],
    Kind.APPOINTMENT: [
        {
            "subject": "Lunch",
            "start": NOON,
            "end": NOON + timedelta(hours=1),
            "all_day": False,
            "show_as": "free",
        },
        {
            "subject": "Fair",
            "start": date(2026, 3, 4),
            "end": date(2026, 3, 7),
            "all_day": True,
            "sensitivity": "private",
        },
        {"subject": "Day", "start": date(2026, 3, 4), "end": None, "all_day": True, "location": "Hall 1"},
        {"subject": "Moment", "start": NOON, "end": None, "all_day": False, "show_as": "tentative"},
    ],
    Kind.TASK: [
        {
            "subject": "Call",
            "due": date(2026, 3, 4),
            "status": "waiting",
            "priority": "high",
            "description": "a\nb",
        },
        {"subject": None, "due": NOON, "status": "cancelled", "priority": None},
    ],
}


@pytest.fixture(scope="module")
def crm() -> Iterator[EmbeddedCrm]:
    with embedded_crm() as running:
        yield running


def login(crm: EmbeddedCrm) -> Password:
    return Password(crm.client_id, crm.client_secret, crm.sync.username, crm.sync.password)


@pytest.fixture(params=list(SAMPLES))
def kind(request: pytest.FixtureRequest) -> Kind:
    value = request.param
    assert isinstance(value, Kind)
    return value


def done(outcomes: Iterator[Outcome]) -> list[Done]:
    told = list(outcomes)
    assert all(isinstance(o, Done) for o in told), told
    return [o for o in told if isinstance(o, Done)]


def fetched(items: SalesforceConnector, id: str) -> Record:
    (record,) = items.fetch([id])
    assert isinstance(record, Record)
    return record


def test_logs_in_by_every_flow_and_over_https(crm: EmbeddedCrm) -> None:
    with (
        source(crm.url, auth=login(crm)) as first,
        source(crm.url, auth=ClientCredentials(crm.client_id, crm.client_secret)) as second,
    ):
        assert first.identity() == second.identity()
        assert first.user_id("ALICE@example.com") == crm.alice.id
        assert first.missing() == {}
    with source(crm.https_url, auth=login(crm), ca_file=str(crm.ca_file)) as third:
        assert len(third.identity()) == 18
    with source(
        crm.url, auth=Password(crm.client_id, crm.client_secret, crm.sync.username, "wrong")
    ) as wrong:
        with pytest.raises(AuthExpired) as caught:
            wrong.identity()
        assert caught.value.hint


def test_logs_in_with_a_signed_assertion() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with embedded_crm(public_key=public) as crm:
        auth = Jwt(crm.client_id, crm.sync.username, private, crm.url)
        with connector(crm.url, Kind.CONTACT, auth=auth) as contacts:
            assert list(contacts.listing()) == []


def test_what_is_written_reads_as_projected(crm: EmbeddedCrm, kind: Kind) -> None:
    with connector(crm.url, kind, auth=login(crm), external_id=EXTERNAL) as items:
        creates = [
            Create(f"sample-{kind}-{n}", kind, c, owner=crm.alice.id) for n, c in enumerate(SAMPLES[kind])
        ]
        made = done(items.apply(creates))
        for create, outcome in zip(creates, made, strict=True):
            record = fetched(items, outcome.id)
            assert outcome.record == record
            assert record.link == create.key
            assert record.owner == crm.alice.id
            expected = items.project(kind, create.columns)
            assert {c: record.columns[c] for c in expected} == expected
            assert items.project(kind, record.columns) == record.columns
        again = done(items.apply(creates))
        assert [o.id for o in again] == [o.id for o in made]
        updates = [
            Update(o.id, o.version, kind, {"subject" if kind is not Kind.CONTACT else "job_title": "New"})
            for o in again
        ]
        assert {o.record.columns.get("subject", "New") for o in done(items.apply(updates)) if o.record} == {
            "New"
        }
        assert list(items.apply(updates)) == [Stale(o.id) for o in made]


def test_changes_follow_writes_and_deletes(crm: EmbeddedCrm, kind: Kind) -> None:
    with connector(crm.url, kind, auth=login(crm), external_id=EXTERNAL) as items:
        *_, page = items.changes(None, EVERYTHING)
        (made,) = done(items.apply([Create(f"change-{kind}", kind, SAMPLES[kind][0])]))
        (page,) = items.changes(page.cursor, EVERYTHING)
        assert [i.id for i in page.items] == [made.id]
        before = crm.crm.usage.total
        (page,) = items.changes(page.cursor, EVERYTHING)
        assert page.items == ()
        assert crm.crm.usage.total == before + (2 if kind is Kind.APPOINTMENT else 1)  # and who is invited
        assert {r.id: r.version for r in items.listing()}[made.id] == fetched(items, made.id).version
        assert list(items.apply([Delete(made.id, made.version)])) == [Done(made.id, "")]
        (page,) = items.changes(page.cursor, EVERYTHING)
        assert [type(i) for i in page.items] == [Gone]
        assert [type(i) for i in items.fetch([made.id])] == [Gone]
        assert made.id not in {r.id for r in items.listing()}
        assert list(items.apply([Delete(made.id, made.version)])) == [Done(made.id, "")]
        assert list(items.apply([Update(made.id, made.version, kind, {})])) == [Stale(made.id)]


def test_search_access_and_selection(crm: EmbeddedCrm) -> None:
    with connector(crm.url, Kind.CONTACT, auth=login(crm), external_id=EXTERNAL) as contacts:
        columns: Columns = {"last_name": "Search", "email": "search@example.com", "phone_work": "030 9876543"}
        (made,) = done(contacts.apply([Create("search-1", Kind.CONTACT, columns, owner=crm.alice.id)]))
        by_mail = contacts.search(Kind.CONTACT, [Probe(emails=("SEARCH@example.com",))])
        by_phone = contacts.search(Kind.CONTACT, [Probe(phones=("+49309876543",))])
        assert [r.id for r in by_mail] == [r.id for r in by_phone] == [made.id]
        assert contacts.access(crm.alice.id, [made.id]) == {made.id: Access(True, True, True)}
        assert contacts.selected([made.id], Selection(condition="LastName = 'Search'")) == {made.id}
        assert contacts.selected([made.id], Selection(condition="LastName = 'Other'")) == frozenset()
        owned = [i.id for p in contacts.changes(None, Selection(owner=crm.bob.id)) for i in p.items]
        assert made.id not in owned


def test_a_condition_about_one_object_selects_nothing_of_the_others(crm: EmbeddedCrm) -> None:
    about_contacts = Selection(condition="MailingCity = 'Exampletown'")
    with source(crm.url, auth=login(crm), external_id=EXTERNAL) as here:
        contacts, events, tasks, *_ = (here.open(c) for c in here.collections())
        address: Columns = {"last_name": "Resident", "address_work_city": "Exampletown"}
        (made,) = done(contacts.apply([Create("resident", Kind.CONTACT, address, owner=crm.alice.id)]))
        meeting: Columns = {"subject": "Meeting", "start": NOON, "end": NOON, "all_day": False}
        (other,) = done(events.apply([Create("meeting", Kind.APPOINTMENT, meeting, owner=crm.alice.id)]))
        assert made.id in [i.id for p in contacts.changes(None, about_contacts) for i in p.items]
        for table in (events, tasks):
            (page,) = table.changes(None, about_contacts)
            assert page.items == ()
            asked = here.requests()
            assert table.selected([other.id], about_contacts) == frozenset()
            assert here.requests() == asked
        for mistaken in ("Nowhere__c = 1", "MailingCity = "):
            for table in (contacts, events, tasks):
                with pytest.raises(ProtocolError):
                    list(table.changes(None, Selection(condition=mistaken)))


@pytest.mark.parametrize("kind", [Kind.APPOINTMENT, Kind.TASK])
def test_search_by_columns(crm: EmbeddedCrm, kind: Kind) -> None:
    with connector(crm.url, kind, auth=login(crm), external_id=EXTERNAL) as items:
        columns = {**SAMPLES[kind][0], "subject": 'it\'s "here"'}
        (made,) = done(items.apply([Create(f"columns-{kind}", kind, columns, owner=crm.alice.id)]))
        assert items.access(crm.bob.id, [made.id]) == {}
        assert items.access(crm.alice.id, [made.id]) == {made.id: Access(True, True, True)}
        assert [r.id for r in items.search(kind, [Probe(columns=columns)])] == [made.id]


def test_a_session_that_ends_in_mid_run(crm: EmbeddedCrm) -> None:
    with connector(crm.url, Kind.TASK, auth=login(crm), external_id=EXTERNAL) as tasks:
        list(tasks.listing())
        crm.crm.sessions.end_all()
        done(tasks.apply([Create("renewed", Kind.TASK, {"subject": "after"})]))


@pytest.mark.parametrize("external_id", [EXTERNAL, ""])
def test_a_create_whose_answer_was_lost_is_repeated_without_a_duplicate(
    crm: EmbeddedCrm, kind: Kind, external_id: str
) -> None:
    lost: list[Request] = []

    def lose(request: Request) -> bool:
        if request.method == "GET" or lost:
            return False
        lost.append(request)
        return True

    since = datetime.now(UTC)
    text = "notes" if kind is Kind.CONTACT else "description"
    creates = [
        Create(
            f"lost-{kind}-{external_id}-{n}", kind, {**c, text: external_id}, owner=crm.bob.id, since=since
        )
        for n, c in enumerate(SAMPLES[kind])
    ]
    with serving(relay(crm.url, lose)) as stub:
        stub.login = relay(crm.url, lambda _: False)
        with connector(stub.url, kind, auth=login(crm), external_id=external_id) as items:
            before = {r.id for r in items.listing()}
            with pytest.raises(Unreachable):
                list(items.apply(creates))
            made = {r.id for r in items.listing()} - before
            assert len(made) == len(creates)
            assert {o.id for o in done(items.apply(creates))} == made
            assert {r.id for r in items.listing()} - before == made
    assert lost


def test_a_thousand_records_in_batches(crm: EmbeddedCrm) -> None:
    with source(crm.url, auth=login(crm), external_id=EXTERNAL) as made:
        contacts = made.open(made.collections()[0])
        contacts.project(Kind.CONTACT, {})
        creates = [Create(f"many-{n}", Kind.CONTACT, {"last_name": f"Many {n}"}) for n in range(1000)]
        before = made.requests()
        outcomes = done(contacts.apply(creates))
        assert made.requests() - before == 15
        assert len({o.id for o in outcomes}) == 1000
        *_, page = contacts.changes(None, EVERYTHING)
        (page,) = contacts.changes(page.cursor, EVERYTHING)
        assert not [i for i in page.items if not isinstance(i, Gone)]  # those of other tests
        assert len(page.cursor) < 20_000
        deletes = [Delete(o.id, o.version) for o in outcomes]
        assert {type(o) for o in contacts.apply(deletes)} == {Done}
