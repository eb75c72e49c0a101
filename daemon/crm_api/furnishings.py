"""What clients ask for before they draw anything: tabs, colours and icons, layouts by name."""

from typing import Any

from crmsync.daemon.crm_api.messages import Call, Reply
from crmsync.state.replica import faults
from crmsync.state.replica.layouts import layout_of
from crmsync.state.replica.metadata import ObjectType, Schema

__all__ = ["TABS", "Furnishings", "layouts_in_rest"]

# Two, as every organisation has several: pyforce takes a single one for a list.
TABS = {
    "Sales": ("Account", "Contact", "Lead", "Opportunity", "Case"),
    "Activities": ("Task", "Event"),
}
NAMED_LAYOUTS = {"User": ("UserAlt",)}


class Furnishings:
    """Handlers; each takes the call and the variables of its route."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def tabs(self, call: Call) -> Reply:
        names = dict.fromkeys(
            name for names in TABS.values() for name in names if name in self._schema.objects
        )
        return Reply(200, [_tab(call, self._schema.objects[name]) for name in names])

    def theme(self, call: Call) -> Reply:
        """No pictures and no colours: clients fall back to their own."""
        return Reply(
            200, {"themeItems": [{"colors": [], "icons": [], "name": each.name} for each in self._schema]}
        )

    def named_layout(self, call: Call, object: str, name: str) -> Reply:
        type_ = self._schema.find(object)
        known = NAMED_LAYOUTS.get(type_.name, ()) if type_ else ()
        if type_ is None or name.lower() not in [each.lower() for each in known]:
            raise faults.not_found()
        return Reply(200, layouts_in_rest(self._schema, type_))


def layouts_in_rest(schema: Schema, type_: ObjectType) -> dict[str, Any]:
    """describeLayout with what REST has and the partner WSDL lacks, or has otherwise."""
    found = layout_of(schema, type_)
    more: dict[str, Any] = {
        "buttonLayoutSection": {"detailButtons": []},
        "feedView": None,
        "highlightsPanelLayoutSection": None,
        "multirowEditLayoutSections": [],
        "offlineLinks": [],
        "quickActionList": {"quickActionListItems": []},
        "relatedContent": None,
        "saveOptions": [],
    }
    layouts = [dict(sorted({**more, **each}.items())) for each in found["layouts"]]
    return {**found, "layouts": layouts, "recordTypeSelectorRequired": [found["recordTypeSelectorRequired"]]}


def _tab(call: Call, type_: ObjectType) -> dict[str, Any]:
    return {
        "colors": [],
        "custom": type_.name.endswith("__c"),
        "iconUrl": f"{call.origin}/icon.png",
        "icons": [],
        "label": type_.plural,
        "miniIconUrl": f"{call.origin}/icon.png",
        "name": f"standard-{type_.name}",
        "sobjectName": type_.name,
        "url": f"{call.origin}/{type_.prefix}/o",
    }
