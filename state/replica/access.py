"""Who may see and change which record.

A caller with `all_records` (an administrator, the integration user) may do everything. Everyone else owns
records and has over the others what the object's default sharing says. Deleting and giving away stay with
the owner, as in Salesforce's "Public Read/Write".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crmsync.state.replica.metadata import ObjectType, embedded, fold

__all__ = ["NOTHING", "Access", "Caller", "Rights"]

AT_ONCE = 500  # bound values in one IN list
MODES = ("private", "read", "read_write")


@dataclass(frozen=True, slots=True)
class Caller:
    """The user on whose behalf something is done."""

    user_id: str
    all_records: bool


@dataclass(frozen=True, slots=True)
class Rights:
    """What one caller may do with one record."""

    read: bool
    edit: bool
    delete: bool


NOTHING = Rights(read=False, edit=False, delete=False)


class Access:
    """The sharing model: `sharing` overrides an object's default mode, keyed by canonical object name."""

    def __init__(self, sharing: Mapping[str, str] | None = None) -> None:
        self._sharing = dict(sharing or {})
        unknown = {mode for mode in self._sharing.values() if mode not in MODES}
        if unknown:
            raise ValueError(f"sharing {sorted(unknown)}: expected one of {', '.join(MODES)}")

    def rights(self, caller: Caller, type_: ObjectType, row: Mapping[str, Any]) -> Rights:
        if caller.all_records:
            return Rights(read=True, edit=True, delete=type_.deletable)
        if type_.owned and row["OwnerId"] == caller.user_id:
            return Rights(read=True, edit=True, delete=type_.deletable)
        mode = self._mode(type_)
        return Rights(
            read=mode != "private", edit=mode == "read_write" and not type_.admin_only, delete=False
        )

    def readable(
        self, caller: Caller, type_: ObjectType, table: sa.FromClause
    ) -> sa.ColumnElement[bool] | None:
        """The condition on rows that the caller may see; None when that is all of them."""
        if caller.all_records:
            return None
        if self._mode(type_) != "private":
            return self._as_followed(caller, type_, table) if type_.follows else None
        return table.c.OwnerId == caller.user_id if type_.owned else sa.false()

    def hidden(
        self,
        connection: sa.Connection,
        caller: Caller,
        type_: ObjectType,
        table: sa.Table,
        ids: Iterable[str],
    ) -> set[str]:
        """Those that the caller may not see, whatever `rights` say, because of what they belong to."""
        wanted = set(ids)
        if caller.all_records or not type_.follows or not wanted:
            return set()
        visible = self._as_followed(caller, type_, table)
        seen: set[str] = set()
        listed = sorted(wanted)
        for start in range(0, len(listed), AT_ONCE):
            some = table.c.Id.in_(listed[start : start + AT_ONCE])
            seen |= set(connection.scalars(sa.select(table.c.Id).where(some, visible)))
        return wanted - seen

    def _as_followed(self, caller: Caller, type_: ObjectType, table: sa.FromClause) -> sa.ColumnElement[bool]:
        """What belongs to a record of one's own, or to one that everybody sees; and what is one's own."""
        reference, schema = table.c[type_.follows], embedded()
        conditions = []
        for name in type_.by_name[fold(type_.follows)].to:
            target = schema.objects[name]
            if self._mode(target) == "private":
                own = _owned(caller, name, table, reference) if target.owned else sa.false()
                conditions.append(~reference.startswith(target.prefix) | own)
        whole = sa.and_(sa.true(), *conditions)
        return sa.or_(whole, table.c.OwnerId == caller.user_id) if type_.owned else whole

    def may_create(self, caller: Caller, type_: ObjectType) -> bool:
        return type_.createable and (caller.all_records or not type_.admin_only)

    def _mode(self, type_: ObjectType) -> str:
        return self._sharing.get(type_.name, type_.sharing)


def _owned(
    caller: Caller, name: str, table: sa.FromClause, reference: sa.ColumnElement[Any]
) -> sa.ColumnElement[bool]:
    base: Any = table if isinstance(table, sa.Table) else getattr(table, "element", table)
    parent = base.metadata.tables[name].alias()
    inner = sa.select(parent.c.Id).where(parent.c.Id == reference, parent.c.OwnerId == caller.user_id)
    return sa.exists(inner.correlate(table))
