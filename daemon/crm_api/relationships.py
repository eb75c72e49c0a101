"""`sobjects/Account/001…/Contacts`: what a record leads to, by the names of relationships."""

from crmsync.daemon.crm_api.messages import Call, Reply
from crmsync.daemon.crm_api.queries import QueryHandlers
from crmsync.state.replica import ids
from crmsync.state.replica.metadata import Child, ObjectType, Schema, fold
from crmsync.state.replica.store import Store

__all__ = ["Children"]


class Children:
    """The records that point at one, as a query of their own."""

    def __init__(self, store: Store, queries: QueryHandlers) -> None:
        self._store, self._queries = store, queries

    def known(self, object: str, record_id: str, name: str) -> Child | None:
        """The relationship of that name; None where the address means something else."""
        type_ = self._store.schema.find(object)
        if type_ is None or not ids.is_valid(record_id) or type_.find(name) is not None:
            return None
        return _child(self._store.schema, type_, name)

    def read(self, call: Call, object: str, record_id: str, child: Child) -> Reply:
        parent = self._store.read(call.caller, self._store.object_type(object).name, record_id)["Id"]
        type_ = self._store.schema.objects[child.child]
        asked = call.query.get("fields")
        names = ", ".join(asked.split(",") if asked else (f.name for f in type_.fields if f.type != "base64"))
        text = f"SELECT {names} FROM {type_.name} WHERE {child.field.name} = '{parent}' ORDER BY Id"
        return self._queries.answered(call, text)


def _child(schema: Schema, type_: ObjectType, name: str) -> Child | None:
    wanted = fold(name)
    return next(
        (c for c in schema.children(type_.name) if c.field.children and fold(c.field.children) == wanted),
        None,
    )
