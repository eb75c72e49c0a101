"""Converting a lead into an account, a contact and an opportunity (SOAP API Developer Guide, "convertLead()").

Given records are filled in where they are empty, and nothing of theirs is replaced, but LeadSource if that is asked
for. The lead's activities move to the contact. Either all of it happens or nothing.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crmsync.state.replica import faults
from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault, Rejected
from crmsync.state.replica.records import Row, read_id
from crmsync.state.replica.store import Store

__all__ = [
    "ACCOUNT",
    "CONTACT",
    "FIRST_STAGE",
    "Conversion",
    "Converted",
    "Converter",
    "end_of_quarter",
    "taken",
]

CONVERTED = frozenset({"closed - converted"})
FIRST_STAGE = "Prospecting"
_ADDRESS = ("Street", "City", "State", "PostalCode", "Country")
ACCOUNT = {
    "Name": "Company", "Phone": "Phone", "Fax": "Fax", "Website": "Website", "Industry": "Industry",
    "NumberOfEmployees": "NumberOfEmployees", "AnnualRevenue": "AnnualRevenue", "Rating": "Rating",
    "AccountSource": "LeadSource", **{f"Billing{part}": part for part in _ADDRESS},
}  # fmt: skip
CONTACT = {
    **{name: name for name in ("LastName", "FirstName", "MiddleName", "Suffix", "Salutation", "Title", "Email",
                               "Phone", "MobilePhone", "Fax", "LeadSource", "Description")},
    **{f"Mailing{part}": part for part in _ADDRESS},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conversion:
    """What is asked for; ids that are None mean a new record."""

    lead: str
    status: str
    account: str | None = None
    contact: str | None = None
    opportunity: str | None = None
    opportunity_name: str | None = None
    create_opportunity: bool = True
    overwrite_source: bool = False
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Converted:
    lead: str
    account: str
    contact: str
    opportunity: str | None


@dataclass(frozen=True, slots=True)
class Converter:
    store: Store

    def convert(self, caller: Caller, asked: Conversion) -> Converted:
        """Raises Fault."""
        schema = self.store.schema
        lead = self.store.read(caller, "Lead", read_id(schema.objects["Lead"], asked.lead))
        _check(asked, lead)
        with self.store.database.together():
            account = self._account(caller, asked, lead)
            contact = self._contact(caller, asked, lead, account)
            opportunity = (
                self._opportunity(caller, asked, lead, account) if asked.create_opportunity else None
            )
            self._close(caller, asked, lead, Converted(lead["Id"], account, contact, opportunity))
        return Converted(lead["Id"], account, contact, opportunity)

    def _account(self, caller: Caller, asked: Conversion, lead: Row) -> str:
        if asked.account is not None:
            return self._filled(caller, "Account", asked.account, taken(ACCOUNT, lead), asked)
        return self._created(caller, "Account", taken(ACCOUNT, lead), asked, lead)

    def _contact(self, caller: Caller, asked: Conversion, lead: Row, account: str) -> str:
        values = taken(CONTACT, lead)
        if asked.contact is None:
            return self._created(caller, "Contact", {**values, "AccountId": account}, asked, lead)
        if self.store.read(caller, "Contact", asked.contact)["AccountId"] != account:
            what = "The contact is not a contact of the account that the lead is converted to"
            raise Fault("INVALID_CROSS_REFERENCE_KEY", what, ("ContactId",))
        return self._filled(caller, "Contact", asked.contact, values, asked)

    def _opportunity(self, caller: Caller, asked: Conversion, lead: Row, account: str) -> str:
        if asked.opportunity is not None:
            return str(self.store.read(caller, "Opportunity", asked.opportunity)["Id"])
        values = {
            "Name": asked.opportunity_name or f"{lead['Company']}-",
            "AccountId": account,
            "StageName": FIRST_STAGE,
            "CloseDate": end_of_quarter(self.store.now().date()).isoformat(),
            "LeadSource": lead["LeadSource"],
        }
        return self._created(caller, "Opportunity", values, asked, lead)

    def _created(
        self, caller: Caller, name: str, values: Mapping[str, Any], asked: Conversion, lead: Row
    ) -> str:
        owner = asked.owner or lead["OwnerId"]
        outcome = self.store.create(caller, [(name, {**values, "OwnerId": owner})])[0]
        if isinstance(outcome, Rejected):
            raise outcome.faults[0]
        return outcome.id

    def _filled(
        self, caller: Caller, name: str, record_id: str, values: Mapping[str, Any], asked: Conversion
    ) -> str:
        """The id of the record, its empty fields filled."""
        row = self.store.read(caller, name, record_id)
        over = {"LeadSource"} if asked.overwrite_source else set()
        new = {k: v for k, v in values.items() if v is not None and (row[k] is None or k in over)}
        outcome = self.store.update(caller, [(name, row["Id"], new)])[0]
        if isinstance(outcome, Rejected):
            raise outcome.faults[0]
        return str(row["Id"])

    def _close(self, caller: Caller, asked: Conversion, lead: Row, made: Converted) -> None:
        """Status and owner as anybody would change them; what only a conversion can write is written here."""
        outcome = self.store.update(caller, [("Lead", lead["Id"], {"Status": asked.status})])[0]
        if isinstance(outcome, Rejected):
            raise outcome.faults[0]
        tables, now = self.store.database.tables, self.store.now()
        converted = {
            "IsConverted": True,
            "ConvertedDate": now.date(),
            "ConvertedAccountId": made.account,
            "ConvertedContactId": made.contact,
            "ConvertedOpportunityId": made.opportunity,
        }
        with self.store.database.write() as connection:
            table = tables["Lead"]
            connection.execute(table.update().where(table.c.Id == lead["Id"]).values(converted))
            for name in ("Task", "Event"):
                self._move(connection, tables[name], lead["Id"], made, now)

    def _move(
        self, connection: sa.Connection, table: sa.Table, lead: str, made: Converted, now: datetime.datetime
    ) -> None:
        values = {"WhoId": made.contact, "AccountId": made.account, "SystemModstamp": now}
        connection.execute(table.update().where(table.c.WhoId == lead).values(values))


def _check(asked: Conversion, lead: Row) -> None:
    if lead["IsConverted"]:
        raise Fault("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
    if asked.status.casefold() not in CONVERTED:
        raise Fault("INVALID_STATUS", f"invalid convertedStatus: {asked.status[:80]}", ("convertedStatus",))
    if asked.contact is not None and asked.account is None:
        raise faults.required(("AccountId",))


def taken(names: Mapping[str, str], lead: Row) -> dict[str, Any]:
    """The lead's values, as a client would send them."""
    return {name: lead[source] for name, source in names.items()}


def end_of_quarter(day: datetime.date) -> datetime.date:
    month = (day.month - 1) // 3 * 3 + 3
    first_after = datetime.date(day.year + month // 12, month % 12 + 1, 1)
    return first_after - datetime.timedelta(days=1)
