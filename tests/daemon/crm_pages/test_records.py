"""What a person does with records, page by page, over HTTP and without a browser."""

import datetime
import re
from concurrent.futures import ThreadPoolExecutor

from crmsync.state.replica.access import Caller
from tests.daemon.crm_pages.person import Person
from tests.servers.embedded_crm import EmbeddedCrm

HOSTILE = "<script>alert(1)</script>\"'&"


def row(crm: EmbeddedCrm, name: str, record: str) -> dict[str, object]:
    return dict(crm.crm.store.read(Caller(crm.sync.id, all_records=True), name, record))


def test_a_contact_is_made_with_its_account_by_name(crm: EmbeddedCrm, alice: Person):
    account = alice.make("Account", Name="Quarry & Sons")
    contact = alice.make("Contact", FirstName="Olga", LastName="Exemplar", AccountId="quarry & sons")
    assert row(crm, "Contact", contact)["AccountId"] == account
    page = alice.get(f"/crm/{contact}").text
    assert f'<a href="/crm/{account}">Quarry &amp; Sons</a>' in page
    assert "Olga Exemplar" in alice.get(f"/crm/{account}").text  # in the related list


def test_a_form_that_is_sent_twice_makes_one_record(crm: EmbeddedCrm, alice: Person):
    """By a double click: the second one comes while the first is still being answered, or after it."""
    asked = alice.get("/crm/Contact/new")
    sent = {**asked.fields(), "f.LastName": "Doubleday"}
    with ThreadPoolExecutor(4) as clicks:
        answers = list(clicks.map(lambda _: alice.post("/crm/Contact/new", sent), range(4)))
    assert len({answer.record for answer in answers}) == 1
    corrected = alice.post("/crm/Contact/new", {**alice.get("/crm/Contact/new").fields(), "f.LastName": ""})
    other = alice.post("/crm/Contact/new", {**corrected.fields(), "f.LastName": "Doubleday"})
    assert other.record not in {answer.record for answer in answers}


def test_where_a_name_says_too_little_the_person_chooses(crm: EmbeddedCrm, alice: Person):
    ids = {city: alice.make("Account", Name="Twin Works", BillingCity=city) for city in ("Bonn", "Kiel")}
    sent = alice.get("/crm/Contact/new").fields()
    asked = alice.post("/crm/Contact/new", {**sent, "f.LastName": "Pattern", "f.AccountId": "Twin Works"})
    assert asked.status == 400
    assert "choose which one is meant" in asked.text
    picked = {**asked.fields(), "pick.AccountId": ids["Kiel"]}
    contact = alice.post("/crm/Contact/new", picked).record
    assert row(crm, "Contact", contact)["AccountId"] == ids["Kiel"]
    assert row(crm, "Contact", contact)["LastName"] == "Pattern"
    nobody = alice.post("/crm/Contact/new", {**sent, "f.LastName": "Pattern", "f.AccountId": "No%_such"})
    assert (nobody.status, "nothing of that name" in nobody.text) == (400, True)


def test_find_shows_what_there_is_and_saves_nothing(alice: Person):
    alice.make("Account", Name="Findable Ltd")
    sent = alice.get("/crm/Contact/new").fields()
    found = alice.post(
        "/crm/Contact/new", {**sent, "f.LastName": "X", "f.AccountId": "ndabl", "find": "AccountId"}
    )
    assert found.status == 200
    assert "Findable Ltd" in found.text
    assert found.fields()["f.LastName"] == "X"


def test_an_edit_sends_what_was_changed_and_nothing_else(crm: EmbeddedCrm, alice: Person):
    stamp = "2027-03-01T09:30:45.000+0000"
    outcome = crm.crm.store.create(
        Caller(crm.alice.id, all_records=False),
        [
            (
                "Event",
                {"Subject": "Fair", "StartDateTime": stamp, "DurationInMinutes": 60, "Description": "a\nb"},
            )
        ],
    )[0]
    assert alice.edit(outcome.id or "", Location="Hall 3").status == 303
    after = row(crm, "Event", outcome.id or "")
    assert after["Location"] == "Hall 3"
    assert after["StartDateTime"] == datetime.datetime(2027, 3, 1, 9, 30, 45)  # a form shows no seconds
    assert after["Description"] == "a\nb"


def test_times_are_the_persons(crm: EmbeddedCrm, alice: Person):
    sync = Caller(crm.sync.id, all_records=True)
    crm.crm.store.update(sync, [("User", crm.alice.id, {"TimeZoneSidKey": "America/New_York"})])
    try:
        event = alice.make(
            "Event", Subject="Call", StartDateTime="2027-07-01T09:00", EndDateTime="2027-07-01T09:30"
        )
        assert row(crm, "Event", event)["StartDateTime"] == datetime.datetime(2027, 7, 1, 13, 0)
        assert "2027-07-01 09:00" in alice.get(f"/crm/{event}").text
    finally:
        crm.crm.store.update(sync, [("User", crm.alice.id, {"TimeZoneSidKey": "GMT"})])


def test_what_the_crm_refuses_stands_at_its_field(alice: Person):
    sent = alice.get("/crm/Contact/new").fields()
    answer = alice.post("/crm/Contact/new", {**sent, "f.LastName": "", "f.Title": "Boss"})
    assert answer.status == 400
    assert re.search(r'id="f-LastName-error" class="wrong">[^<]*Required', answer.text)
    assert re.search(
        r'id="f-LastName"[^>]*aria-describedby="f-LastName-error" aria-invalid="true"', answer.text
    )
    assert answer.fields()["f.Title"] == "Boss"
    wrong = alice.post("/crm/Contact/new", {**sent, "f.LastName": "X", "f.Email": "no address"})
    assert re.search(r'id="f-Email-error" class="wrong">[^<]*invalid email', wrong.text)
    number = alice.post(
        "/crm/Account/new",
        {**alice.get("/crm/Account/new").fields(), "f.Name": "N", "f.AnnualRevenue": "many"},
    )
    assert re.search(r'id="f-AnnualRevenue-error"', number.text)


def test_hostile_values_stay_text(alice: Person):
    contact = alice.make("Contact", LastName=HOSTILE, Description=f"</textarea>{HOSTILE}")
    bad = alice.make("Lead", LastName="Link", Company=HOSTILE, Website="javascript:alert(1)")
    for path in (
        "Contact?show=all",
        contact,
        f"{contact}/edit",
        f"{contact}/delete",
        "search?q=script",
        bad,
        "Lead",
    ):
        page = alice.get(f"/crm/{path}").text
        assert "<script" not in page
        assert 'href="javascript' not in page
    assert alice.get(f"/crm/{contact}/edit").fields()["f.LastName"] == HOSTILE
    assert "<script" not in alice.get("/crm/search?q=%3Cscript%3E").text


def test_a_form_that_is_out_of_date_shows_both(crm: EmbeddedCrm, alice: Person, bob: Person):
    contact = alice.make("Contact", LastName="Meeting", Title="Clerk", Department="North")
    old = alice.get(f"/crm/{contact}/edit").fields()
    assert bob.edit(contact, Title="Director", Department="South").status == 303
    stale = alice.edit(contact, old, Title="Manager", Phone="+49 30 1")
    assert stale.status == 409
    assert "<q>Manager</q>" in stale.text
    assert "<q>Director</q>" in stale.text
    assert row(crm, "Contact", contact)["Title"] == "Director"  # nothing is overwritten
    again = stale.fields()
    assert (again["f.Title"], again["f.Department"], again["f.Phone"]) == ("Manager", "South", "+49 30 1")
    assert alice.edit(contact, again).status == 303
    after = row(crm, "Contact", contact)
    assert (after["Title"], after["Department"], after["Phone"]) == ("Manager", "South", "+49 30 1")


def test_deleting_asks_first(crm: EmbeddedCrm, alice: Person, bob: Person):
    contact = alice.make("Contact", LastName="Farewell")
    assert f"/crm/{contact}/delete" not in bob.get(f"/crm/{contact}").text  # not his to delete
    assert bob.post(f"/crm/{contact}/delete", bob.get(f"/crm/{contact}/delete").fields()).status == 409
    ask = alice.get(f"/crm/{contact}/delete")
    assert "recycle bin" in ask.text
    assert alice.post(f"/crm/{contact}/delete", ask.fields()).to.startswith("/crm/Contact")
    assert alice.get(f"/crm/{contact}").status == 404


def test_a_lead_is_converted(crm: EmbeddedCrm, alice: Person):
    lead = alice.make("Lead", LastName="Prospect", Company="Prospect Mills")
    assert f"/crm/{lead}/convert" in alice.get(f"/crm/{lead}").text
    ask = alice.get(f"/crm/{lead}/convert").fields()
    contact = alice.post(
        f"/crm/{lead}/convert", {**ask, "status": "Closed - Converted", "opportunity": ""}
    ).record
    assert contact.startswith("003")
    converted = row(crm, "Lead", lead)
    assert (converted["IsConverted"], converted["ConvertedContactId"]) == (True, contact)
    assert converted["ConvertedOpportunityId"] is None
    again = alice.post(f"/crm/{lead}/convert", {**ask, "status": "Closed - Converted"})
    assert (again.status, "converted" in again.text) == (400, True)


def test_home_shows_what_waits_for_this_person(crm: EmbeddedCrm, alice: Person, bob: Person):
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2)
    alice.make(
        "Event", Subject="Board of trade", StartDateTime=f"{soon:%Y-%m-%dT%H:%M}", DurationInMinutes="30"
    )
    alice.make("Event", Subject="Long ago", StartDateTime="2020-01-01T10:00", DurationInMinutes="30")
    alice.make("Task", Subject="Write to them")
    alice.make("Task", Subject="Written already", Status="Completed")
    home, other = alice.get("/crm").text, bob.get("/crm").text
    assert "Board of trade" in home
    assert "Write to them" in home
    assert "Long ago" not in home
    assert "Written already" not in home
    assert "Write to them" not in other


def test_search_finds_beginnings_over_all_objects(alice: Person):
    account = alice.make("Account", Name="Zylinder Works")
    contact = alice.make("Contact", LastName="Zylinderhut")
    page = alice.get("/crm/search?q=zylind").text
    assert f"/crm/{account}" in page
    assert f"/crm/{contact}" in page
    assert "Nothing was found" in alice.get("/crm/search?q=nosuchword").text
    assert alice.get("/crm/search?q=%2A").status == 200


def test_what_is_not_this_persons_is_not_there(alice: Person, bob: Person):
    task = alice.make("Task", Subject="Private matter")
    assert bob.get(f"/crm/{task}").status == 404
    assert bob.get(f"/crm/{task}/edit").status == 404
    assert bob.get("/crm/003000000009999AAA").status == 404
    assert bob.get("/crm/Nothing").status == 404
    assert bob.get("/crm/zzz000000000001").status == 404


def test_what_may_not_be_written_has_no_place_in_the_form(crm: EmbeddedCrm, alice: Person):
    contact = alice.make("Contact", LastName="Readonly")
    sent = alice.get(f"/crm/{contact}/edit").fields()
    assert "f.LastName" in sent
    assert "f.CreatedDate" not in sent
    forged = {**sent, "f.CreatedDate": "2001-01-01", "was.CreatedDate": ""}
    assert alice.post(f"/crm/{contact}/edit", forged).status == 303
    assert row(crm, "Contact", contact)["CreatedDate"] != datetime.datetime(2001, 1, 1)
