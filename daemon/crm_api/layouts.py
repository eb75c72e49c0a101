"""Layouts and what else clients ask an object for besides its describe."""

from typing import Any

from crmsync.daemon.crm_api.furnishings import layouts_in_rest
from crmsync.daemon.crm_api.messages import Call, Reply
from crmsync.state.replica import faults
from crmsync.state.replica.layouts import MASTER
from crmsync.state.replica.metadata import ObjectType, Schema

__all__ = ["Layouts"]


class Layouts:
    """Handlers; each takes the call and the variables of its route."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def all(self, call: Call, object: str) -> Reply:
        return Reply(200, layouts_in_rest(self._schema, self._type(object)))

    def of_record_type(self, call: Call, object: str, record_type: str) -> Reply:
        """The layout alone; there is one record type."""
        type_ = self._type(object)
        if record_type[:15] != MASTER[:15]:
            raise faults.not_found()
        return Reply(200, layouts_in_rest(self._schema, type_)["layouts"][0])

    def compact(self, call: Call, object: str) -> Reply:
        type_ = self._type(object)
        name = type_.by_name[type_.name_field.casefold()]
        item = {
            "editableForNew": name.createable,
            "editableForUpdate": name.updateable,
            "label": name.label,
            "layoutComponents": [{"displayLines": 1, "tabOrder": 1, "type": "Field", "value": name.name}],
            "placeholder": False,
            "required": name.required,
        }
        layout = {
            "actions": [], "fieldItems": [item], "id": None, "imageItems": [], "label": "System Default",
            "name": "SYSTEM", "objectType": type_.name,
        }  # fmt: skip
        content: dict[str, Any] = {
            "compactLayouts": [layout],
            "defaultCompactLayoutId": None,
            "recordTypeCompactLayoutMappings": [],
            "urls": {"primary": f"{call.base}/sobjects/{type_.name}/describe/compactLayouts/primary"},
        }
        return Reply(200, content)

    def approval(self, call: Call, object: str) -> Reply:
        self._type(object)
        return Reply(200, {"approvalLayouts": []})

    def _type(self, name: str) -> ObjectType:
        type_ = self._schema.find(name)
        if type_ is None:
            raise faults.not_found()
        return type_
