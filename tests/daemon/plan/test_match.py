"""The row "new, selected, on one side": match before create."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from crmsync.connectors.contract import Columns, Kind
from crmsync.daemon.plan.match import (
    Ambiguous,
    Candidate,
    NoPartner,
    Partner,
    addresses_of,
    keys_of,
    match,
    matchable,
    name_of,
)

ADA: Columns = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email": "ada@example.com",
    "phone_mobile": "+49 171 1234567",
}


def contact(id: str, **changes: str | None) -> Candidate:
    columns = {**ADA, **changes}
    return Candidate(id, keys_of(Kind.CONTACT, columns), name_of(columns))


NEW = contact("new")


# ── a partner ────────────────────────────────────────────────────────────────────────────────────────────────


def test_new_the_same_address_and_name_is_the_partner() -> None:
    assert match(
        NEW, [contact("crm", phone_mobile=None), contact("x", email=None, phone_mobile=None)], []
    ) == Partner("crm")


def test_new_the_same_number_and_name_is_the_partner() -> None:
    other = contact("crm", email="ada@work.example.com", phone_mobile=None, phone_work="+49 (171) 123-45.67")
    assert match(NEW, [other], []) == Partner("crm")


@pytest.mark.parametrize("column", ["email", "email_2", "email_3"])
def test_new_any_of_the_addresses_counts_whatever_its_case(column: str) -> None:
    other = contact("crm", **{"email": "else@example.com", "phone_mobile": None, column: "ADA@Example.com "})
    assert match(NEW, [other], []) == Partner("crm")


@pytest.mark.parametrize("first", [None, "ADA", " ada "])
def test_new_names_agree_whatever_their_case_and_without_a_first_name(first: str | None) -> None:
    assert match(NEW, [contact("crm", first_name=first, last_name="LOVELACE")], []) == Partner("crm")


def test_new_a_company_without_a_person_goes_by_its_name() -> None:
    firm = {"first_name": None, "last_name": None, "company": "Engines Ltd"}
    assert match(contact("new", **firm), [contact("crm", **firm)], []) == Partner("crm")
    other = {**firm, "company": "Looms Ltd"}
    assert match(contact("new", **firm), [contact("crm", **other)], []) == NoPartner()


def test_new_colleagues_behind_one_switchboard_go_by_their_addresses() -> None:
    colleague = contact("crm 2", first_name="Grace", last_name="Hopper", email="grace@example.com")
    assert match(NEW, [contact("crm 1"), colleague], []) == Partner("crm 1")
    nobody_else = contact("new", email=None)
    assert isinstance(match(nobody_else, [contact("crm 1"), colleague], []), Ambiguous)


# ── no partner ───────────────────────────────────────────────────────────────────────────────────────────────


def test_new_nobody_shares_a_key_else_create() -> None:
    assert match(NEW, [contact("crm", email="x@example.com", phone_mobile=None)], []) == NoPartner()
    assert match(NEW, [], []) == NoPartner()


@pytest.mark.parametrize("nothing", [None, ""])
def test_new_the_same_name_alone_is_no_partner(nothing: str | None) -> None:
    bare = contact("new", email=nothing, phone_mobile=nothing)
    assert match(bare, [contact("crm", email=nothing, phone_mobile=nothing)], []) == NoPartner()


@pytest.mark.parametrize(
    "changes", [{"first_name": "Byron"}, {"first_name": "Abel"}, {"last_name": "King"}, {"last_name": "Zuse"}]
)
def test_new_a_shared_address_under_another_name_is_someone_else(changes: dict[str, str]) -> None:
    assert match(NEW, [contact("crm", **changes)], []) == NoPartner()


def test_new_a_switchboard_number_with_different_extensions_is_no_key() -> None:
    one = contact("new", email=None, phone_mobile="+49 30 1234567 ext. 5")
    other = contact("crm", email=None, phone_mobile="+49 30 1234567 ext. 6")
    assert match(one, [other], []) == NoPartner()


def test_new_what_its_own_interrupted_create_has_left_is_made_again_and_so_found() -> None:
    mine, colleague = (replace(contact(id), born=id) for id in ("a", "b"))
    assert match(replace(NEW, born="a"), [mine, colleague], []) == NoPartner()
    assert match(replace(NEW, born="a"), [mine, contact("crm")], []) == NoPartner()
    assert match(replace(NEW, born="c"), [mine, colleague], []) == NoPartner()
    assert match(replace(NEW, born="c"), [mine, contact("crm")], []) == Partner("crm")
    assert match(replace(NEW, born="0"), [mine, contact("crm")], []) == Partner("crm")


@pytest.mark.parametrize("number", ["", "112", "-", "ext"])
def test_new_a_number_of_few_digits_is_no_key(number: str) -> None:
    one = contact("new", email=None, phone_mobile=number)
    assert match(one, [contact("crm", email=None, phone_mobile=number)], []) == NoPartner()


# ── ambiguous ────────────────────────────────────────────────────────────────────────────────────────────────


def test_new_several_records_with_its_address_are_held() -> None:
    fate = match(NEW, [contact("crm 1"), contact("crm 2")], [])
    assert isinstance(fate, Ambiguous)
    assert fate.ids == ("crm 1", "crm 2")
    assert fate.reason


def test_new_several_records_of_its_name_are_held_although_only_one_has_its_address() -> None:
    fate = match(NEW, [contact("crm 1"), contact("crm 2", email=None)], [])
    assert isinstance(fate, Ambiguous)
    assert fate.ids == ("crm 1", "crm 2")


def test_new_a_namesake_and_a_relative_behind_one_address_are_held() -> None:
    fate = match(NEW, [contact("crm 1"), contact("crm 2", first_name="Byron")], [])
    assert isinstance(fate, Ambiguous)


@pytest.mark.parametrize("id", ["double", "twin"])
def test_new_a_double_on_its_own_side_is_held(id: str) -> None:
    fate = match(NEW, [contact("crm")], [NEW, contact(id)])
    assert isinstance(fate, Ambiguous)
    assert fate.ids == ("crm",)


def test_new_a_relative_on_its_own_side_is_no_rival() -> None:
    assert match(NEW, [contact("crm")], [NEW, contact("son", first_name="Byron")]) == Partner("crm")


def test_new_a_namesake_without_its_address_on_its_own_side_is_no_rival() -> None:
    namesake = contact("namesake", email="else@example.com", phone_mobile=None)
    assert match(NEW, [contact("crm")], [NEW, namesake]) == Partner("crm")


def test_new_itself_is_no_rival() -> None:
    assert match(NEW, [contact("crm")], [NEW]) == Partner("crm")


# ── kinds without addresses ──────────────────────────────────────────────────────────────────────────────────

NINE, TEN = (datetime(2026, 3, 2, h, tzinfo=UTC) for h in (9, 10))
BUDGET: Columns = {"subject": "Budget", "start": NINE, "end": TEN}


def test_new_an_appointment_goes_by_subject_start_and_end() -> None:
    keys = keys_of(Kind.APPOINTMENT, BUDGET)
    assert keys == keys_of(Kind.APPOINTMENT, {**BUDGET, "subject": " budget", "location": "Room 5"})
    assert keys != keys_of(Kind.APPOINTMENT, {**BUDGET, "start": TEN})
    assert keys != keys_of(Kind.APPOINTMENT, {**BUDGET, "end": NINE})


def test_new_a_task_goes_by_subject_and_due() -> None:
    task: Columns = {"subject": "Call", "due": date(2026, 3, 2)}
    assert keys_of(Kind.TASK, task) == keys_of(Kind.TASK, {**task, "priority": "high"})
    assert keys_of(Kind.TASK, task) != keys_of(Kind.TASK, {**task, "due": date(2026, 3, 3)})


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        (Kind.TASK, {"subject": "Call", "due": None}),
        (Kind.TASK, {"due": date(2026, 3, 2)}),
        (Kind.APPOINTMENT, {"subject": None, "start": NINE, "end": TEN}),
        (Kind.APPOINTMENT, {"subject": "Budget", "start": None, "end": TEN}),
        (Kind.EMAIL, {"subject": "x"}),
    ],
)
def test_new_too_little_to_recognise_it_by_is_no_key(kind: Kind, columns: Columns) -> None:
    assert keys_of(kind, columns) == frozenset()


def test_new_an_appointment_that_does_not_say_when_it_ends_has_a_key() -> None:
    assert keys_of(Kind.APPOINTMENT, {**BUDGET, "end": None}) not in (
        frozenset(),
        keys_of(Kind.APPOINTMENT, BUDGET),
    )


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ({Kind.CONTACT}, True),
        ({Kind.TASK}, True),
        ({Kind.APPOINTMENT, Kind.EMAIL}, True),
        ({Kind.EMAIL}, False),
        (set(), False),
    ],
)
def test_whose_items_have_to_be_known_tagged_or_not(kinds: set[Kind], expected: bool) -> None:
    assert matchable(frozenset(kinds)) is expected


# ── whom an item is about ────────────────────────────────────────────────────────────────────────────────────


def test_addresses_are_those_of_people_and_of_letters() -> None:
    person: Columns = {"email": "ada@example.com", "email_2": None, "first_name": "Ada"}
    assert addresses_of(person) == ["ada@example.com"]
    letter: Columns = {
        "from": "ada@example.com",
        "to": ("grace@example.com", ""),
        "cc": None,
        "subject": "a@b",
    }
    assert addresses_of(letter) == ["ada@example.com", "grace@example.com"]
