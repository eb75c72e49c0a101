from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from crmsync.connectors.contract import (
    Columns,
    Create,
    Deferred,
    Delete,
    Done,
    Kind,
    Outcome,
    Refused,
    Stale,
    Update,
    Write,
)
from crmsync.connectors.errors import ConnectorError, Throttled, Unreachable
from crmsync.connectors.salesforce.values import instant
from tests.connectors.salesforce.stub import (
    USER,
    Reply,
    Request,
    Script,
    connector,
    contact,
    described,
    found,
    refused,
    serving,
    stamp,
)

OLD = stamp(datetime.now(UTC) - timedelta(hours=1))
NAME: Columns = {"last_name": "Lovelace"}


def record(number: int) -> str:
    return f"003{number:012d}AAA"


def update(number: int, columns: Columns = NAME, expected: str = OLD) -> Update:
    return Update(record(number), expected, Kind.CONTACT, columns)


def ok(number: int) -> dict[str, object]:
    return {"id": record(number), "success": True, "errors": []}


def no(code: str, *fields: str, message: str = "secret") -> dict[str, object]:
    return {"success": False, "errors": [{"statusCode": code, "message": message, "fields": list(fields)}]}


def org(write: Script, rows: Callable[[], list[dict[str, object]]] = list) -> Script:
    """Answers reads by id from ``rows``, the description, and leaves writes to the test."""

    def script(request: Request) -> Reply:
        if request.path.endswith("/describe"):
            return described(extra=("Crmsync_Id__c",))
        if "quer" in request.path:
            everything = "IsDeleted = false" in request.soql or "CreatedDate" in request.soql
            return found(*(r for r in rows() if everything or str(r["Id"]) in request.soql))
        return write(request)

    return script


def applied(script: Script, *writes: Write, external_id: str = "") -> list[Outcome]:
    with serving(script) as stub, connector(stub.url, external_id=external_id) as contacts:
        return list(contacts.apply(writes))


def test_a_batch_of_200_costs_three_requests() -> None:
    def write(request: Request) -> Reply:
        assert request.json["allOrNone"] is False
        return Reply([{"id": r["Id"], "success": True, "errors": []} for r in request.json["records"]])

    rows = [contact(n, OLD) for n in range(1, 201)]
    with serving(org(write, lambda: rows)) as stub, connector(stub.url) as contacts:
        contacts.project(Kind.CONTACT, {})  # describes the object
        asked = len(stub.requests)
        outcomes = list(contacts.apply([update(n) for n in range(1, 201)]))
        assert [o.id for o in outcomes if isinstance(o, Done) and o.record] == [
            record(n) for n in range(1, 201)
        ]
        assert len(stub.requests) - asked == 3


def test_every_row_has_its_own_outcome() -> None:
    def write(request: Request) -> Reply:
        assert [r["Id"] for r in request.json["records"]] == [record(n) for n in (1, 2, 3, 4, 5, 6, 7)]
        return Reply(
            [
                ok(1),
                no("STRING_TOO_LONG", "LastName"),
                no("UNABLE_TO_LOCK_ROW"),
                no("ENTITY_IS_DELETED"),
                no("FIELD_CUSTOM_VALIDATION_EXCEPTION", message="Ask the boss"),
                no("INVALID_CROSS_REFERENCE_KEY", "OwnerId"),
                no("SOMETHING_NEW"),
            ]
        )

    rows = [contact(n, OLD) for n in range(1, 8)] + [
        contact(9, stamp(datetime.now(UTC) - timedelta(minutes=9)))
    ]
    outcomes = applied(
        org(write, lambda: rows),
        *(update(n) for n in range(1, 8)),
        update(8),
        update(9),
        update(10, {"first_name": "x" * 41}),
    )
    done, too_long, locked, deleted, rule, owner, new, unseen, changed, _ = outcomes
    assert isinstance(done, Done)
    assert isinstance(too_long, Refused)
    assert (too_long.code, too_long.reason) == (
        "too_long",
        "LastName is longer than the CRM's field (STRING_TOO_LONG)",
    )
    assert isinstance(locked, Deferred)
    assert (deleted, unseen, changed) == (Stale(record(4)), Stale(record(8)), Stale(record(9)))
    assert isinstance(rule, Refused)
    assert "Ask the boss" in rule.reason
    assert isinstance(owner, Refused)
    assert new == Refused(record(7), "something_new", "the record is refused by the CRM (SOMETHING_NEW)")
    assert "secret" not in repr(outcomes)


def test_what_is_too_long_is_not_even_sent() -> None:
    outcomes = applied(
        org(lambda _: Reply(status=500), lambda: [contact(1, OLD)]), update(1, {"notes": "x" * 5_000_000})
    )
    assert [(o.id, o.code) for o in outcomes if isinstance(o, Refused)] == [(record(1), "too_long")]


def test_a_write_without_anything_to_hold_it_stands_as_it_is() -> None:
    (outcome,) = applied(
        org(lambda _: Reply(status=500), lambda: [contact(1, OLD)]), update(1, {"nickname": "Ada"})
    )
    assert isinstance(outcome, Done)
    assert outcome.version == OLD


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(status=204), Done),
        (Reply(status=412), Stale),
        (refused("NOT_FOUND", 404), Stale),
        (refused("ENTITY_IS_DELETED", 404), Stale),
        (refused("INSUFFICIENT_ACCESS_OR_READONLY", 403), Refused),
        (refused("FIELD_INTEGRITY_EXCEPTION", 400), Refused),
        (refused("UNABLE_TO_LOCK_ROW", 400), Deferred),
    ],
)
def test_a_single_write_is_conditional(reply: Reply, expected: type[Outcome]) -> None:
    def write(request: Request) -> Reply:
        assert (request.method, request.json) == ("PATCH", {"LastName": "Lovelace"})
        assert request.headers["If-Unmodified-Since"] == "Fri, 02 Jan 2026 03:04:06 GMT"
        return reply

    version = "2026-01-02T03:04:05.500+0000"
    (outcome,) = applied(org(write, lambda: [contact(1, version)]), update(1, expected=version))
    assert isinstance(outcome, expected)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (refused("REQUEST_LIMIT_EXCEEDED", 403), Throttled),
        (Reply(status=500), Unreachable),
        (Reply(lost=True), Unreachable),
    ],
)
def test_a_single_write_whose_conversation_fails(reply: Reply, expected: type[ConnectorError]) -> None:
    with pytest.raises(expected):
        applied(org(lambda _: reply, lambda: [contact(1, OLD)]), update(1))


def test_a_young_version_counts_the_content() -> None:
    now = stamp(datetime.now(UTC))
    row = contact(1, now)
    with serving(org(lambda _: Reply(status=204), lambda: [row])) as stub, connector(stub.url) as contacts:
        (seen,) = contacts.fetch([record(1)])
        version = getattr(seen, "version", "")
        assert version.startswith(f"{now}~")
        assert [r.version for r in contacts.listing()] == [version]
        (outcome,) = contacts.apply([update(1, expected=version)])
        assert isinstance(outcome, Done)
        row["FirstName"] = "changed within the second"
        assert list(contacts.apply([update(1, expected=version)])) == [Stale(record(1))]


def test_deletes() -> None:
    rows = [
        contact(1, OLD),
        contact(2, OLD),
        contact(3, OLD),
        contact(4, OLD, IsDeleted=True),
        contact(5, OLD),
    ]

    def write(request: Request) -> Reply:
        assert request.method == "DELETE"
        assert request.query == {"ids": ",".join(record(n) for n in (1, 2, 3)), "allOrNone": "false"}
        return Reply([ok(1), no("ENTITY_IS_DELETED"), no("DELETE_FAILED")])

    gone, already, needed, before, stale, unseen = applied(
        org(write, lambda: rows),
        *(Delete(record(n), OLD) for n in (1, 2, 3, 4)),
        Delete(record(5), "2000-01-01T00:00:00.000+0000"),
        Delete(record(6), OLD),
    )
    assert (gone, already, before) == tuple(Done(record(n), "") for n in (1, 2, 4))
    assert isinstance(needed, Refused)
    assert (stale, unseen) == (Stale(record(5)), Stale(record(6)))


@pytest.mark.parametrize("code", ["ENTITY_IS_DELETED"])
def test_a_single_delete_of_what_has_just_gone(code: str) -> None:
    outcomes = applied(org(lambda _: refused(code, 404), lambda: [contact(1, OLD)]), Delete(record(1), OLD))
    assert outcomes == [Done(record(1), "")]


def test_one_row_that_cannot_be_parsed_does_not_stop_the_others() -> None:
    sizes = []

    def write(request: Request) -> Reply:
        records = request.json["records"]
        sizes.append(len(records))
        if any(r["LastName"] == "Bad" for r in records):
            return refused("JSON_PARSER_ERROR")
        return Reply([{"id": r["Id"], "success": True, "errors": []} for r in records])

    rows = [contact(n, OLD) for n in range(1, 9)]
    outcomes = applied(
        org(write, lambda: rows),
        *(update(n, {"last_name": "Bad" if n == 3 else "Good"}) for n in range(1, 9)),
    )
    assert [isinstance(o, Done) for o in outcomes] == [n != 3 for n in range(1, 9)]
    assert isinstance(outcomes[2], Refused)
    assert sizes == [8, 4, 2, 2, 1, 1, 4]


def test_a_field_that_has_left_the_object_is_dropped() -> None:
    gone = []

    def script(request: Request) -> Reply:
        if request.path.endswith("/describe"):
            return described(without=("Email",) if gone else ())
        if "quer" in request.path:
            return found(*(contact(n, OLD) for n in (1, 2)))
        if "Email" in request.json["records"][0]:
            gone.append("Email")
            return refused("INVALID_FIELD", 400, "No such column 'Email' on sobject of type Contact")
        return Reply([ok(1), ok(2)])

    both: Columns = {"email": "ada@example.com", "last_name": "Lovelace"}
    outcomes = applied(script, update(1, both), update(2, both))
    assert all(isinstance(o, Done) for o in outcomes)


def test_what_is_known_is_told_before_the_exception() -> None:
    answers = iter([Reply([ok(1)]), Reply(lost=True)])
    rows = [contact(2, OLD), contact(3, OLD)]
    with (
        serving(org(lambda _: next(answers), lambda: rows)) as stub,
        connector(stub.url, external_id="Crmsync_Id__c") as contacts,
    ):
        outcomes = contacts.apply([Create("key-1", Kind.CONTACT, NAME), update(2), update(3)])
        assert next(outcomes) == Done(record(1), "")
        with pytest.raises(Unreachable):
            next(outcomes)


def test_writes_stand_even_if_they_cannot_be_read_back() -> None:
    reads = iter([found(contact(1, OLD), contact(2, OLD)), Reply(status=500)])

    def script(request: Request) -> Reply:
        if request.path.endswith("/describe"):
            return described()
        return next(reads) if "quer" in request.path else Reply([ok(1), ok(2)])

    assert applied(script, update(1), update(2)) == [Done(record(1), ""), Done(record(2), "")]


@pytest.mark.parametrize("reply", [Reply([ok(1)]), Reply({}), Reply([{"success": True}, ok(2)])])
def test_results_that_do_not_fit(reply: Reply) -> None:
    with pytest.raises(ConnectorError):
        applied(org(lambda _: reply, lambda: [contact(1, OLD), contact(2, OLD)]), update(1), update(2))


def test_two_writes_of_one_record_go_one_after_the_other() -> None:
    row = contact(1, OLD)

    def write(request: Request) -> Reply:
        since = parsedate_to_datetime(request.headers["If-Unmodified-Since"])
        if instant(str(row["SystemModstamp"])) > since:
            return refused("PRECONDITION_FAILED", 412)
        row["SystemModstamp"] = stamp(datetime.now(UTC) - timedelta(minutes=1))
        return Reply(status=204)

    first, second = applied(org(write, lambda: [row]), update(1), update(1))
    assert isinstance(first, Done)
    assert second == Stale(record(1))


def test_creates_are_upserts_by_the_external_id() -> None:
    seen: list[Request] = []

    def write(request: Request) -> Reply:
        seen.append(request)
        return Reply([{**ok(n), "created": True} for n in range(1, len(request.json["records"]) + 1)])

    creates = [Create(k, Kind.CONTACT, NAME, owner=USER) for k in ("key-1", "it's")]
    with serving(org(write)) as stub, connector(stub.url, external_id="Crmsync_Id__c") as contacts:
        outcomes = list(contacts.apply(creates))
        assert [o.id for o in outcomes] == [record(1), record(2)]
        assert any(r"(Crmsync_Id__c = 'it\'s')" in r.soql for r in stub.requests)
    (request,) = seen
    assert (request.method, request.path) == (
        "PATCH",
        "/services/data/v59.0/composite/sobjects/Contact/Crmsync_Id__c",
    )
    assert request.json["records"][0] == {
        "attributes": {"type": "Contact"},
        "LastName": "Lovelace",
        "OwnerId": USER,
        "Crmsync_Id__c": "key-1",
    }


def test_the_link_is_written_to_an_existing_record() -> None:
    bodies = []

    def write(request: Request) -> Reply:
        bodies.append(request.json)
        return Reply(status=204)

    link = Update(record(1), OLD, Kind.CONTACT, {}, link="key-1")
    applied(org(write, lambda: [contact(1, OLD)]), link, external_id="Crmsync_Id__c")
    assert bodies == [{"Crmsync_Id__c": "key-1"}]


def test_a_first_attempt_without_external_id_is_not_searched_for() -> None:
    with serving(org(lambda _: Reply([ok(1)]))) as stub, connector(stub.url) as contacts:
        list(contacts.apply([Create("key-1", Kind.CONTACT, NAME)]))
        assert not any("CreatedById" in r.soql for r in stub.requests)


def test_a_repeated_create_without_external_id_finds_what_it_made() -> None:
    rows = [contact(1, OLD, LastName="Lovelace"), contact(2, OLD, LastName="Lovelace", FirstName="Ada")]
    since = datetime(2026, 1, 2, tzinfo=UTC)
    creates = [
        Create(f"key-{n}", Kind.CONTACT, {"last_name": "Lovelace", "first_name": f}, since=since)
        for n, f in enumerate(["Ada", "Ada", None, "Bea"])
    ]

    def write(request: Request) -> Reply:
        return Reply([ok(10 + n) for n in range(len(request.json["records"]))])

    with serving(org(write, lambda: rows)) as stub, connector(stub.url) as contacts:
        outcomes = list(contacts.apply(creates))
        # one record answers for one create only: the second Ada is made
        assert [o.id for o in outcomes] == [record(2), record(10), record(1), record(11)]
        ours, anybodys = [r.soql for r in stub.requests if "CreatedDate >=" in r.soql]
        assert f"CreatedById = '{USER}' AND CreatedDate >= 2026-01-01T23:59:55.000Z" in ours
        assert "CreatedById =" not in anybodys


def test_a_repeated_create_without_external_id_finds_what_a_person_made_instead() -> None:
    """Only where this login has made nothing of the kind."""

    def script(request: Request) -> Reply:
        if request.path.endswith("/describe"):
            return described()
        assert "quer" in request.path
        return found() if "CreatedById =" in request.soql else found(contact(1, OLD, LastName="Lovelace"))

    create = Create("key", Kind.CONTACT, NAME, since=datetime(2026, 1, 2, tzinfo=UTC))
    (outcome,) = applied(script, create)
    assert isinstance(outcome, Done)
    assert (outcome.id, outcome.found) == (record(1), True)
