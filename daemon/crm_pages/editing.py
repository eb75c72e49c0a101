"""Records made and changed in forms."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from starlette.responses import RedirectResponse, Response

from crmsync.daemon.crm_pages import edits, inputs, lookups, shapes
from crmsync.daemon.crm_pages.desk import Record, Refused
from crmsync.daemon.crm_pages.inputs import FormState
from crmsync.daemon.crm_pages.lookups import Lookup
from crmsync.daemon.crm_pages.once import Forms
from crmsync.daemon.crm_pages.shapes import Field, Section, Shape
from crmsync.daemon.crm_pages.site import Site, Visit
from crmsync.daemon.crm_pages.values import to_form

__all__ = ["Editing"]

STALE = "Somebody has changed this record since you opened it. Nothing is saved yet: look at what is marked, then save."


class Editing:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._forms = Forms()

    # ── New ──────────────────────────────────────────────────────────────────────────────────────────────────

    def ask_new(self, visit: Visit) -> Response:
        shape, sections = _new(visit)
        fields = edits.writable(sections)
        was = _defaults(fields, visit)
        given = {f.name: visit.asked(f.name)[: f.length or 255] for f in fields if visit.asked(f.name)}
        values = {**was, **given}
        state = FormState(values, was, lookups=_named(visit, fields, values))
        return self._form(visit, shape, sections, state)

    def create(self, visit: Visit) -> Response:
        shape, sections = _new(visit)
        fields = edits.writable(sections)
        state = _sent(visit, fields, _defaults(fields, visit))
        if _undecided(visit, state):
            return self._form(visit, shape, sections, state, status=_status(visit))
        try:
            values = edits.changes(fields, state.was, state.values, visit.zone)
            with self._forms.turn(visit.session, visit.form.one("form")) as turn:
                turn.made = turn.made or visit.desk.create(shape.kind.name, values)
        except Refused as error:
            return self._form(visit, shape, sections, _faulty(state, fields, error), status=400)
        return RedirectResponse(f"/crm/{turn.made}?done=created", 303)

    # ── Edit ─────────────────────────────────────────────────────────────────────────────────────────────────

    def ask_edit(self, visit: Visit) -> Response:
        record, shape, sections = _edited(visit)
        fields = edits.writable(sections)
        return self._form(visit, shape, sections, _stored(visit, fields, record), record)

    def save(self, visit: Visit) -> Response:
        record, shape, sections = _edited(visit)
        fields = edits.writable(sections)
        was = {f.name: visit.form.one(f"was.{f.name}") for f in fields}
        state = replace(_sent(visit, fields, was), version=visit.form.one("version"))
        if _undecided(visit, state):
            return self._form(visit, shape, sections, state, record, status=_status(visit))
        values = edits.changes(fields, was, state.values, visit.zone)
        try:
            if values:
                visit.desk.update(shape.kind.name, record.id, values, state.version)
        except Refused as error:
            if error.changed:
                return self._stale(visit, shape, sections, state, record.id)
            if error.status == 404:
                raise
            return self._form(visit, shape, sections, _faulty(state, fields, error), record, status=400)
        return RedirectResponse(f"/crm/{record.id}?done=saved", 303)

    def _stale(
        self, visit: Visit, shape: Shape, sections: Sequence[Section], sent: FormState, record_id: str
    ) -> Response:
        record, fields = visit.desk.read(shape.kind.name, record_id), edits.writable(sections)
        meeting = edits.met(fields, sent.was, sent.values, record.values, visit.zone)
        stored = _stored(visit, fields, record)
        state = FormState(
            meeting.values,
            stored.was,
            record.version,
            _named(visit, fields, meeting.values),
            sentences=[STALE],
            meeting=replace(meeting, both=_readable(visit, fields, meeting.both)),
        )
        return self._form(visit, shape, sections, state, record, status=409)

    def _form(
        self,
        visit: Visit,
        shape: Shape,
        sections: Sequence[Section],
        state: FormState,
        record: Record | None = None,
        status: int = 200,
    ) -> Response:
        title = (record.values.get(shape.name_field) or record.id) if record else f"New {shape.kind.label}"
        return self._site.show(
            "edit.html",
            visit,
            status,
            shape=shape,
            record=record,
            title=title,
            state=state,
            sections=inputs.controls(sections, state),
            zone=str(visit.zone),
            form=visit.form.one("form") or self._forms.name(),
        )


def _new(visit: Visit) -> tuple[Shape, list[Section]]:
    shape = visit.shape()
    return shape, shapes.sections(shape, visit.desk.layout(shape.kind.name), "new")


def _edited(visit: Visit) -> tuple[Record, Shape, list[Section]]:
    record_id, shape = visit.record_id()
    record = visit.desk.read(shape.kind.name, record_id)
    return record, shape, shapes.sections(shape, visit.desk.layout(shape.kind.name), "edit")


def _defaults(fields: Sequence[Field], visit: Visit) -> dict[str, str]:
    return {f.name: to_form(f, f.default, visit.zone) for f in fields}


def _stored(visit: Visit, fields: Sequence[Field], record: Record) -> FormState:
    values = {f.name: to_form(f, record.values.get(f.name), visit.zone) for f in fields}
    return FormState(values, values, record.version, _named(visit, fields, values))


def _named(visit: Visit, fields: Sequence[Field], values: Mapping[str, str]) -> dict[str, Lookup]:
    references = [f.name for f in fields if f.type == "reference"]
    names = visit.desk.names(values.get(name) for name in references)
    return {
        name: Lookup(values.get(name, ""), names.get(values.get(name, ""), values.get(name, "")))
        for name in references
    }


def _sent(visit: Visit, fields: Sequence[Field], was: Mapping[str, str]) -> FormState:
    """What the browser sent, its references looked up."""
    form, wanted = visit.form, visit.form.one("find")
    found = {
        f.name: lookups.resolve(visit.desk, f, form, asked=wanted == f.name)
        for f in fields
        if f.type == "reference"
    }
    values = {
        f.name: found[f.name].id
        if f.name in found
        else ";".join(form.all(f"f.{f.name}"))
        if f.type == "multipicklist"
        else form.one(f"f.{f.name}")
        for f in fields
    }
    errors = {name: each.problem for name, each in found.items() if each.problem}
    return FormState(values, was, form.one("version"), found, errors)


def _undecided(visit: Visit, state: FormState) -> bool:
    return bool(visit.form.one("find")) or any(each.open for each in state.lookups.values())


def _status(visit: Visit) -> int:
    return 200 if visit.form.one("find") else 400


def _faulty(state: FormState, fields: Sequence[Field], error: Refused) -> FormState:
    """What the CRM says of a field stands at the field."""
    here, errors, rest = {f.name for f in fields}, dict(state.errors), []
    for problem in error.problems:
        at = [name for name in problem.fields if name in here]
        errors |= {
            name: f"{errors[name]} {problem.message}" if name in errors else problem.message for name in at
        }
        if not at:
            rest.append(problem.message)
    return replace(state, errors=errors, sentences=rest)


def _readable(
    visit: Visit, fields: Sequence[Field], both: Mapping[str, tuple[str, str]]
) -> dict[str, tuple[str, str]]:
    """References by their names."""
    references = {f.name for f in fields if f.type == "reference"}
    names = visit.desk.names(each for name in both if name in references for each in both[name])

    def told(name: str, value: str) -> str:
        return names.get(value, value) if name in references else value

    return {name: (told(name, mine), told(name, theirs)) for name, (mine, theirs) in both.items()}
