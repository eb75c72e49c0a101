"""One record with what belongs to it, and its end."""

from typing import Any

from starlette.responses import RedirectResponse, Response

from crmsync.daemon.crm_pages import shapes
from crmsync.daemon.crm_pages.cells import cells, rows
from crmsync.daemon.crm_pages.desk import Refused, quoted
from crmsync.daemon.crm_pages.shapes import Related
from crmsync.daemon.crm_pages.site import Site, Visit

__all__ = ["Viewing"]

RELATED = 5  # rows; the others are on a list of their own


class Viewing:
    def __init__(self, site: Site) -> None:
        self._site = site

    def page(self, visit: Visit) -> Response:
        record_id, shape = visit.record_id()
        record = visit.desk.read(shape.kind.name, record_id)
        layout = visit.desk.layout(shape.kind.name)
        sections = shapes.sections(shape, layout, "view")
        references = (
            record.values.get(item.field.name)
            for s in sections
            for item in s.items
            if item.field.type == "reference"
        )
        names = visit.desk.names(references)
        edit, delete = visit.desk.rights(record_id)
        lead = shape.kind.name == "Lead" and not record.values.get("IsConverted")
        return self._site.show(
            "view.html",
            visit,
            shape=shape,
            record=record,
            title=record.values.get(shape.name_field) or record_id,
            sections=[
                (s.heading, cells([i.field for i in s.items], record.values, names, visit.zone))
                for s in sections
            ],
            related=[r for each in shapes.related(layout) if (r := _related(visit, each, record_id))],
            edit=edit and shape.kind.updateable,
            delete=delete and shape.kind.deletable,
            convert=lead and edit,
            done=_DONE.get(visit.asked("done"), ""),
        )

    def ask_delete(self, visit: Visit) -> Response:
        record_id, shape = visit.record_id()
        return self._ask(visit, record_id, shape)

    def _ask(
        self, visit: Visit, record_id: str, shape: shapes.Shape, sentence: str = "", status: int = 200
    ) -> Response:
        record = visit.desk.read(shape.kind.name, record_id)
        title = record.values.get(shape.name_field) or record_id
        values = {"shape": shape, "record": record, "title": title, "sentence": sentence}
        return self._site.show("delete.html", visit, status, **values)

    def delete(self, visit: Visit) -> Response:
        record_id, shape = visit.record_id()
        try:
            visit.desk.delete(shape.kind.name, record_id)
        except Refused as error:
            if error.status == 404:
                raise
            return self._ask(visit, record_id, shape, str(error), 409)
        return RedirectResponse(f"/crm/{shape.kind.name}?done=deleted", 303)


_DONE = {"created": "It is created.", "saved": "Your changes are saved."}


def _related(visit: Visit, each: Related, record_id: str) -> dict[str, Any] | None:
    """None where this person is not told of such records."""
    if each.object not in visit.desk.kinds():
        return None
    shape = visit.desk.shape(each.object)
    if each.field not in shape.fields:
        return None
    fields = [field for field in shape.columns() if field.name != each.field]
    names = ", ".join(dict.fromkeys(("Id", *(field.name for field in fields))))
    order = " ORDER BY LastModifiedDate DESC, Id" if "LastModifiedDate" in shape.fields else ""
    try:
        found = visit.desk.query(
            f"SELECT {names} FROM {each.object} WHERE {each.field} = {quoted(record_id)}{order} LIMIT {RELATED + 1}"
        )
    except Refused:
        return None
    may = shape.kind in shapes.tabs(visit.desk.kinds()) and shape.fields[each.field].createable
    return {
        "label": each.label,
        "columns": [field.shown_as for field in fields],
        "rows": rows(visit.desk, fields, found[:RELATED], shape.name_field, visit.zone),
        "more": f"/crm/{each.object}?show=all&of={each.field}&is={record_id}"
        if len(found) > RELATED
        else None,
        "new": f"/crm/{each.object}/new?{each.field}={record_id}" if may else None,
        "kind": shape.kind,
    }
