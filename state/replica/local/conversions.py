"""Leads that are converted here, with or without a network.

A conversion makes an account, a contact and an opportunity at once, with temporary ids, and stands in the createlist
like a create. The upstream makes records of its own of the lead as it knows it; so what it has made counts, and what a
person has changed of the three rows since goes on as an update of them.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from crmsync.state.replica import faults
from crmsync.state.replica.converting import (
    ACCOUNT,
    CONTACT,
    FIRST_STAGE,
    Conversion,
    Converted,
    end_of_quarter,
    taken,
)
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local import arrivals, edits, veil
from crmsync.state.replica.local.births import next_temporary, renamed, unmade
from crmsync.state.replica.local.difference import Policy
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.shape import Row, references, row_from, row_to, stored
from crmsync.state.replica.local.tables import CREATED, LEAD, ROLES, UPDATED
from crmsync.state.replica.local.temporary import is_temporary
from crmsync.state.replica.metadata import Field, ObjectType
from crmsync.state.replica.values import decode

__all__ = ["abandon", "convert", "keep", "landed", "request", "seen_as", "typed"]


def convert(work: Work, asked: Conversion, at: datetime) -> Converted:
    """Of a lead whose conversion was refused, or is in conflict, it is what shall be done instead. Raises Fault."""
    type_, lead = edits.find(work, asked.lead)
    if type_.name != LEAD:
        raise faults.wrong_type_of_id("Lead ID", asked.lead)
    if (
        not set(veil.SHOWN[:2]) <= lead.keys()
    ):  # the login may not see them: nobody could say what became of it
        raise faults.no_access()
    if earlier := work.converting([lead["Id"]]).get(lead["Id"]):
        _only_if_it_waits(work, earlier)
        abandon(work, earlier, at)
        type_, lead = edits.find(work, asked.lead)
    if lead["IsConverted"]:
        raise Fault("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
    status = decode(type_.by_name["status"], asked.status)
    named = _given(work, asked)
    made = dict(_made(work, asked, lead, named, at))
    entry = next_temporary(work, type_.prefix)
    edits.queue_create(work, LEAD, entry)
    ids = {role: named.get(role) or (made[role]["Id"] if role in made else None) for role in ROLES.values()}
    conversion = {
        "Id": entry,
        "lead": lead["Id"],
        **ids,
        "status": status,
        "options": _options(asked),
        "made": made,
        "base": None if is_temporary(lead["Id"]) else row_to(type_, lead),
        "under": {},
        "at": at,
    }
    work.connection.execute(work.shared.conversions.insert().values(conversion))
    work.main(LEAD, [lead], created=lead[CREATED], updated=lead[UPDATED])
    if ids["contact"]:
        _move_activities(work, lead["Id"], ids["contact"], at)
    return Converted(lead["Id"], ids["account"] or "", ids["contact"] or "", ids["opportunity"])


def request(conversion: Mapping[str, Any]) -> Conversion:
    """As it goes out: what was made here, the upstream makes."""
    given = {role: None if role in conversion["made"] else conversion[role] for role in ROLES.values()}
    asked: dict[str, Any] = {**given, **conversion["options"]}
    return Conversion(conversion["lead"], conversion["status"], **asked)


def seen_as(work: Work, conversion: Mapping[str, Any], lead: Row) -> None:
    """From now on the person is taken to have seen this of the lead; what differs later is a conflict."""
    work.change(
        work.shared.conversions, conversion["Id"], base=row_to(work.shapes.of(LEAD), typed(work, LEAD, lead))
    )


def landed(
    work: Work,
    conversion: Mapping[str, Any],
    lead: Row,
    rows: Mapping[str, Row],
    policy: Policy,
    at: datetime,
) -> None:
    """The upstream has converted the lead. `lead` as it has it now, `rows`: what it has made of it, by id."""
    for name, role in ROLES.items():
        field = f"Converted{name}Id"
        if role in conversion["made"] and name in work.tables.groups:
            made = row_from(work.shapes.of(name), conversion["made"][role])
            _arrived(work, name, made, lead.get(field), rows, at)
    _done(work, conversion)
    arrivals.settle(work, LEAD, lead, policy, at)


def keep(work: Work, conversion: Mapping[str, Any]) -> None:
    """The lead cannot be converted any more: what was made of it here is created on its own."""
    for name, record_id in _made_here(conversion):
        _on_its_own(work, name, record_id)
    _uncover(work, conversion)


def abandon(work: Work, conversion: Mapping[str, Any], at: datetime) -> None:
    """The lead is as it was, and what was made of it is gone, with what was changed of it since (the log has it).
    Raises Fault where other rows cannot do without, and while nobody knows whether the upstream has done it."""
    entry = work.get(work.shared.createlist, conversion["Id"])
    if entry is not None and entry["sent"] is not None:
        what = "it is not known whether the upstream has converted this lead: let a pass find out"
        raise Fault("ENTITY_IS_LOCKED", what)
    local = {"Status": conversion["status"], "IsConverted": True}
    work.log(LEAD, conversion["lead"], conversion["under"], local, {}, fields=sorted(local), winner="server",
             resolved="abandoned", at=at)  # fmt: skip
    _uncover(work, conversion)
    _move_back(work, conversion)
    for name, record_id in reversed(list(_made_here(conversion))):
        deletion = work.get(work.shared.deletelist, record_id)
        if deletion is not None:
            arrivals.deleted_on_both(work, record_id, deletion)
        elif work.get(work.group(name).main, record_id) is not None:
            unmade(work, name, record_id, at)


# ── What a lead becomes ──────────────────────────────────────────────────────────────────────────────────────


def _options(asked: Conversion) -> dict[str, Any]:
    return {
        "opportunity_name": asked.opportunity_name,
        "create_opportunity": asked.create_opportunity,
        "overwrite_source": asked.overwrite_source,
        "owner": asked.owner,
    }


def _only_if_it_waits(work: Work, conversion: Mapping[str, Any]) -> None:
    entry = work.get(work.shared.createlist, conversion["Id"]) or {}
    if entry.get("state") not in ("rejected", "held"):
        raise Fault("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")


def _given(work: Work, asked: Conversion) -> dict[str, str]:
    """The records to use, by role. Raises Fault."""
    named = {}
    for name, role in ROLES.items():
        if record_id := getattr(asked, role):
            type_, row = edits.find(work, record_id)
            if type_.name != name:
                raise faults.wrong_type_of_id(f"{name} ID", record_id, (f"{name}Id",))
            named[role] = str(row["Id"])
    if "contact" in named:
        if "account" not in named:
            raise faults.required(("AccountId",))
        contact = work.get(work.group("Contact").main, named["contact"]) or {}
        if contact.get("AccountId") != named["account"]:
            what = "The contact is not a contact of the account that the lead is converted to"
            raise Fault("INVALID_CROSS_REFERENCE_KEY", what, ("ContactId",))
    return named


def _made(
    work: Work, asked: Conversion, lead: Row, named: Mapping[str, str], at: datetime
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows for what is not given, as far as their objects stand here."""
    account = named.get("account")
    for name, role in ROLES.items():
        wanted = role not in named and (role != "opportunity" or asked.create_opportunity)
        if not wanted or name not in work.tables.groups:
            continue
        values = {**_values(name, asked, lead, at), "OwnerId": asked.owner or lead.get("OwnerId")}
        if account is not None:
            values["AccountId"] = account
        row = _new(work, name, values, at)
        if role == "account":
            account = row["Id"]
        yield role, row_to(work.shapes.of(name), row)


def _values(name: str, asked: Conversion, lead: Row, at: datetime) -> Row:
    known = {**dict.fromkeys((*ACCOUNT.values(), *CONTACT.values())), **lead}
    if name == "Account":
        return taken(ACCOUNT, known)
    if name == "Contact":
        return taken(CONTACT, known)
    return {
        "Name": asked.opportunity_name or f"{known['Company']}-",
        "StageName": FIRST_STAGE,
        "CloseDate": end_of_quarter(at.date()),
        "LeadSource": known["LeadSource"],
    }


def _new(work: Work, name: str, values: Row, at: datetime) -> Row:
    type_ = work.shapes.of(name)
    row = edits.blank(type_)
    given = {n: v for n, v in values.items() if v is not None and n in row}
    return edits.made(work, type_, {**row, **given}, given, at)


# ── Activities go with the person ────────────────────────────────────────────────────────────────────────────


def _activities(work: Work) -> Iterator[tuple[ObjectType, Field]]:
    """Fields that may name a lead or a contact."""
    return ((type_, f) for type_, f in work.shapes.pointing("Contact") if LEAD in f.to)


def _move_activities(work: Work, lead: str, contact: str, at: datetime) -> None:
    for type_, field in _activities(work):
        main = work.group(type_.name).main
        for row in work.where(main, main.c[field.name] == lead):
            if row[CREATED]:
                work.change(main, row["Id"], **{field.name: contact})
            else:
                edits.queue_update(work, type_, row, {field.name: contact}, at)


def _move_back(work: Work, conversion: Mapping[str, Any]) -> None:
    """Those of a contact that was made here are the lead's again; of a given one, those that were the lead's."""
    lead, contact = conversion["lead"], conversion["contact"]
    made_here = "contact" in conversion["made"]
    for type_, field in _activities(work) if contact else ():
        group = work.group(type_.name)
        for row in work.where(group.main, group.main.c[field.name] == contact):
            orig = work.get(group.orig, row["Id"]) or {}
            if made_here or orig.get(field.name) == lead:
                work.change(group.main, row["Id"], **{field.name: lead})


# ── When the upstream has it ─────────────────────────────────────────────────────────────────────────────────


def _arrived(
    work: Work, name: str, made: Row, real: str | None, rows: Mapping[str, Row], at: datetime
) -> None:
    """A row that was made here is the upstream's; what was changed of it since waits to be sent."""
    temporary, group, type_ = made["Id"], work.group(name), work.shapes.of(name)
    main = work.get(group.main, temporary)
    if real is None:  # the upstream makes none of these
        _on_its_own(work, name, temporary)
        return
    if work.get(group.main, real) is not None:
        work.drop(group.main, [temporary])
        main = None
    renamed(work, name, temporary, real)
    row = rows.get(real)
    if row is None or main is None:
        if row is not None and work.get(work.shared.deletelist, real):
            work.put(group.orig, [row])
        elif row is None:
            work.drop(group.main, [real])  # closed to this login
        return
    now = work.get(group.main, real) or {}
    then = typed(work, name, made)
    changed = [f.name for f in stored(type_) if f.updateable and now[f.name] != then[f.name]]
    work.main(name, [{**row, **{n: now[n] for n in changed}}])
    work.drop(group.synced, [real])
    if changed:
        work.put(group.orig, [row])
        arrivals.mark_changed(work, name, real, changed, at)


def _on_its_own(work: Work, name: str, temporary: str) -> None:
    if work.get(work.group(name).main, temporary) is not None:
        edits.queue_create(work, name, temporary)
    elif entry := work.get(work.shared.deletelist, temporary):
        arrivals.deleted_on_both(work, temporary, entry)


def typed(work: Work, name: str, row: Row) -> Row:
    """With what its temporary ids have become."""
    fields = [f.name for f in references(work.shapes.of(name)) if is_temporary(row.get(f.name))]
    return {**row, **{n: work.resolve(row[n]) for n in fields}}


def _made_here(conversion: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Objects and temporary ids."""
    made = conversion["made"]
    return ((name, made[role]["Id"]) for name, role in ROLES.items() if role in made)


def _uncover(work: Work, conversion: Mapping[str, Any]) -> None:
    lead = conversion["lead"]
    row = work.bare(LEAD, work.many(work.group(LEAD).main, [lead])).get(lead)
    _done(work, conversion)
    if row is not None:
        work.main(LEAD, [row], created=row[CREATED], updated=row[UPDATED])


def _done(work: Work, conversion: Mapping[str, Any]) -> None:
    for table in (work.shared.conversions, work.shared.createlist):
        work.drop(table, [conversion["Id"]])
