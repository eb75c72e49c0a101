"""References by the names of what they lead to: a person types a name, the form keeps the id."""

from collections.abc import Sequence
from dataclasses import dataclass

from crmsync.daemon.crm_pages.desk import Desk, Refused, quoted
from crmsync.daemon.crm_pages.shapes import Field
from crmsync.daemon.web.forms import Form
from crmsync.state.replica import ids

__all__ = ["Choice", "Lookup", "find", "resolve"]

MOST = 10


@dataclass(frozen=True, slots=True)
class Choice:
    id: str
    name: str
    kind: str  # its label, where there may be several


@dataclass(frozen=True, slots=True)
class Lookup:
    """Where one reference of a form stands."""

    id: str = ""
    typed: str = ""
    choices: Sequence[Choice] = ()  # the person has to choose
    problem: str = ""

    @property
    def open(self) -> bool:
        return bool(self.choices or self.problem)


def resolve(desk: Desk, field: Field, form: Form, *, asked: bool) -> Lookup:
    """``asked``: the person wants to see what there is."""
    name = field.name
    typed, known, label = (form.one(f"{each}.{name}").strip() for each in ("f", "i", "l"))
    picked = form.one(f"pick.{name}")
    if picked and ids.is_valid(picked) and form.one(f"asked.{name}") == typed and not asked:
        return Lookup(ids.to_18(picked), desk.names([ids.to_18(picked)]).get(ids.to_18(picked), typed))
    if typed == label and not asked:  # untouched
        return Lookup(known, typed)
    if not typed and not asked:
        return Lookup()
    if ids.is_valid(typed) and (kind := desk.kind_of(typed)) and kind.name in field.to:
        record_id = ids.to_18(typed)
        return Lookup(record_id, desk.names([record_id]).get(record_id, record_id))
    found = find(desk, field, typed)
    exact = [each for each in found if each.name.casefold() == typed.casefold()]
    if len(exact) == 1 and not asked:
        return Lookup(exact[0].id, exact[0].name)
    if not found:
        what = field.shown_as
        return Lookup(known, typed, problem=f"{what}: there is nothing of that name that you may see.")
    return Lookup(
        known, typed, found, problem="" if asked else f"{field.shown_as}: choose which one is meant."
    )


def find(desk: Desk, field: Field, typed: str) -> list[Choice]:
    """Those whose name begins so come first, then those that have it somewhere."""
    known = [desk.shape(name) for name in field.to if name in desk.kinds()]
    most = MOST * max(1, len(known))
    found: dict[str, Choice] = {}
    for start in ("", "%"):
        if len(found) >= most:
            break  # the second one reads every row
        for shape in known:
            name = shape.name_field
            where = f"{name} LIKE '{start}{_like(typed)}%'"
            try:
                rows = desk.query(
                    f"SELECT Id, {name} FROM {shape.kind.name} WHERE {where} ORDER BY {name}, Id LIMIT {MOST}"
                )
            except Refused:
                continue
            for row in rows:
                found.setdefault(row["Id"], Choice(row["Id"], str(row[name] or ""), shape.kind.label))
    return list(found.values())[:most]


def _like(text: str) -> str:
    """A SOQL string's inside, in which nothing stands for anything else."""
    return quoted(text)[1:-1].replace("%", "\\%").replace("_", "\\_")
