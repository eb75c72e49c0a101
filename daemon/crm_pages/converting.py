"""A lead becomes an account, a contact and, if wanted, an opportunity."""

from starlette.responses import RedirectResponse, Response

from crmsync.daemon.crm_pages import lookups
from crmsync.daemon.crm_pages.desk import Record
from crmsync.daemon.crm_pages.lookups import Lookup
from crmsync.daemon.crm_pages.shapes import Field, Shape
from crmsync.daemon.crm_pages.site import GONE, NotThere, Site, Visit
from crmsync.state.replica.converting import Conversion
from crmsync.state.replica.faults import Fault

__all__ = ["Converting"]


class Converting:
    def __init__(self, site: Site) -> None:
        self._site = site

    def ask(self, visit: Visit) -> Response:
        record, shape = _lead(visit)
        return self._page(visit, record, shape, Lookup())

    def convert(self, visit: Visit) -> Response:
        record, shape = _lead(visit)
        form = visit.form
        account = lookups.resolve(visit.desk, _account(shape), form, asked=form.one("find") == "AccountId")
        if form.one("find") or account.open:
            return self._page(visit, record, shape, account)
        asked = Conversion(
            record.id,
            form.one("status"),
            account.id or None,
            opportunity_name=form.one("opportunity_name").strip() or None,
            create_opportunity=form.one("opportunity") == "true",
        )
        try:
            made = self._site.crm.converter.convert(visit.desk.caller, asked)
        except Fault as fault:
            return self._page(visit, record, shape, account, fault.message, 400)
        return RedirectResponse(f"/crm/{made.contact}?done=created", 303)

    def _page(
        self,
        visit: Visit,
        record: Record,
        shape: Shape,
        account: Lookup,
        sentence: str = "",
        status: int = 200,
    ) -> Response:
        status_field = shape.fields.get("Status")
        options = [value for value, _ in status_field.options] if status_field else []
        likely = [v for v in options if "converted" in v.casefold() and "not" not in v.casefold().split()]
        form = visit.form
        first = not form.fields
        return self._site.show(
            "convert.html",
            visit,
            status,
            record=record,
            shape=shape,
            title=record.values.get(shape.name_field) or record.id,
            statuses=options,
            status=form.one("status") or next(iter(likely), ""),
            account=account,
            opportunity=first or form.one("opportunity") == "true",
            opportunity_name=form.one("opportunity_name"),
            sentence=sentence or account.problem,
        )


def _lead(visit: Visit) -> tuple[Record, Shape]:
    record_id, shape = visit.record_id()
    if shape.kind.name != "Lead":
        raise NotThere(GONE)
    return visit.desk.read("Lead", record_id), shape


def _account(shape: Shape) -> Field:
    """As if the lead had such a field."""
    some = next(iter(shape.fields.values()))
    return Field("AccountId", "Account ID", "reference", 18, 0, *(True, True, True, False), None, (), ("Account",),
                 None, naming=False, sortable=some.sortable)  # fmt: skip
