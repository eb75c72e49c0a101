"""describeGlobal, describeSObject(s), describeLayout: REST's describes in the WSDL's order.

`_DESCRIBE` and `_FIELD` list the elements; a `?` marks those that may be missing, and are when they have no value.
"""

from collections.abc import Mapping
from typing import Any

from crmsync.daemon.crm_api.furnishings import TABS
from crmsync.daemon.crm_api.soap.session import Soap
from crmsync.daemon.crm_api.soap.wire import Message, Typed
from crmsync.state.replica.describe import describe_global as rest_global
from crmsync.state.replica.describe import describe_object as rest_object
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.layouts import layout_of
from crmsync.state.replica.metadata import ObjectType

__all__ = ["describe_global", "describe_layout", "describe_object", "describe_objects", "describe_tabs"]

MOST = 100
_GLOBAL = """
    activateable createable custom customSetting deepCloneable deletable deprecatedAndHidden feedEnabled
    hasSubtypes idEnabled isInterface isSubtype keyPrefix label labelPlural layoutable mergeable mruEnabled
    name queryable replicateable retrieveable searchable triggerable undeletable updateable
"""
_DESCRIBE = """
    actionOverrides? activateable childRelationships? compactLayoutable createable custom customSetting
    deepCloneable defaultImplementation deletable deprecatedAndHidden feedEnabled fields hasSubtypes
    idEnabled implementedBy implementsInterfaces isInterface isSubtype keyPrefix label labelPlural
    layoutable mergeable mruEnabled name namedLayoutInfos? networkScopeFieldName queryable recordTypeInfos
    replicateable retrieveable searchLayoutable searchable supportedScopes triggerable undeletable
    updateable urlDetail urlEdit urlNew
"""
_FIELD = """
    aggregatable aiPredictionField autoNumber byteLength calculated calculatedFormula? cascadeDelete
    caseSensitive compoundFieldName? controllerName? createable custom defaultValue? defaultValueFormula?
    defaultedOnCreate dependentPicklist deprecatedAndHidden digits displayLocationInDecimal encrypted
    externalId extraTypeInfo? filterable filteredLookupInfo? formulaTreatNullNumberAsZero groupable
    highScaleNumber htmlFormatted idLookup inlineHelpText? label length mask? maskType? name nameField
    namePointing nillable permissionable picklistValues? polymorphicForeignKey precision queryByDistance
    referenceTargetField? referenceTo? relationshipName? relationshipOrder? restrictedDelete
    restrictedPicklist scale searchPrefilterable soapType sortable type unique updateable
    writeRequiresMasterRead
"""
_CHILD = "cascadeDelete childSObject deprecatedAndHidden field relationshipName? restrictedDelete"
_PICKLIST = "active defaultValue label validFor? value"
_RECORD_TYPE = "active available defaultRecordTypeMapping developerName master name recordTypeId"


def describe_global(soap: Soap, message: Message) -> dict[str, Any]:
    found = rest_global(soap.crm.store.schema, "")
    sobjects = [_ordered(_GLOBAL, {**each, "idEnabled": False}) for each in found["sobjects"]]
    return {"encoding": found["encoding"], "maxBatchSize": found["maxBatchSize"], "sobjects": sobjects}


def describe_object(soap: Soap, message: Message) -> dict[str, Any]:
    return _described(soap, message.text("sObjectType"))


def describe_objects(soap: Soap, message: Message) -> list[dict[str, Any]]:
    names = message.texts("sObjectType")
    if len(names) > MOST:
        raise Fault("LIMIT_EXCEEDED", f"at most {MOST} objects can be described at once")
    return [_described(soap, each) for each in names]


def _described(soap: Soap, name: str) -> dict[str, Any]:
    type_ = soap.crm.store.object_type(name.strip())
    found = rest_object(soap.crm.store.schema, type_, "", soap.origin)
    urls = found["urls"]
    found |= {
        "idEnabled": False,
        "fields": [_field(each) for each in found["fields"]],
        "childRelationships": [_ordered(_CHILD, each) for each in found["childRelationships"]],
        "recordTypeInfos": [_ordered(_RECORD_TYPE, each) for each in found["recordTypeInfos"]],
        "urlDetail": urls["uiDetailTemplate"],
        "urlEdit": urls["uiEditTemplate"],
        "urlNew": urls["uiNewRecord"],
    }
    return _ordered(_DESCRIBE, found)


def _field(field: Mapping[str, Any]) -> dict[str, Any]:
    default = field["defaultValue"]
    typed = (
        None
        if default is None
        else Typed("xsd:boolean" if isinstance(default, bool) else "xsd:string", default)
    )
    values = [_ordered(_PICKLIST, each) for each in field["picklistValues"]]
    return _ordered(_FIELD, {**field, "defaultValue": typed, "picklistValues": values})


def _ordered(names: str, values: Mapping[str, Any]) -> dict[str, Any]:
    ordered = {}
    for each in names.split():
        name = each.rstrip("?")
        value = values.get(name)  # an upstream of another version may not have it
        if value is not None or not each.endswith("?"):
            ordered[name] = value
    return ordered


def describe_layout(soap: Soap, message: Message) -> dict[str, Any]:
    type_: ObjectType = soap.crm.store.object_type(message.text("sObjectType").strip())
    return layout_of(soap.crm.store.schema, type_)


def describe_tabs(soap: Soap, message: Message) -> list[dict[str, Any]]:
    return [
        {
            "description": label,
            "label": label,
            "logoUrl": f"{soap.origin}/logo.png",
            "selected": label == "Sales",
            "tabSetId": f"standard__{label}",
            "tabs": [_tab(soap, type_) for name in names if (type_ := soap.crm.store.schema.find(name))],
        }
        for label, names in TABS.items()
    ]


def _tab(soap: Soap, type_: ObjectType) -> dict[str, Any]:
    return {
        "custom": False,
        "iconUrl": f"{soap.origin}/icon.png",
        "label": type_.plural,
        "miniIconUrl": f"{soap.origin}/icon.png",
        "name": f"standard-{type_.name}",
        "sobjectName": type_.name,
        "url": f"{soap.origin}/{type_.prefix}/o",
    }
