"""Describe replies: an object and its fields in every key that Salesforce's own replies have.

Key sets as of API 59.0 (checked by a test against real replies). What a key says follows from the metadata;
features that this CRM does not have are switched off.
"""

from collections.abc import Mapping
from typing import Any

from crmsync.state.replica.merging import mergeable
from crmsync.state.replica.metadata import Child, Field, ObjectType, Schema
from crmsync.state.replica.searching import searchable

__all__ = ["describe_global", "describe_object", "summary"]

SOAP_TYPES = {
    "id": "tns:ID",
    "reference": "tns:ID",
    "boolean": "xsd:boolean",
    "int": "xsd:int",
    "double": "xsd:double",
    "currency": "xsd:double",
    "percent": "xsd:double",
    "date": "xsd:date",
    "datetime": "xsd:dateTime",
    "time": "xsd:time",
    "address": "urn:address",
    "base64": "xsd:base64Binary",
}
BYTES_PER_CHARACTER = 3
BASE, ORIGIN = "{base}", "{origin}"  # in an upstream's reply that is kept, where its addresses began
EXTRA_TYPES = {"FirstName": "personname", "LastName": "personname", "Salutation": "personname"}


def describe_global(schema: Schema, base: str) -> dict[str, Any]:
    """GET sobjects. `base` is the version's path."""
    return {
        "encoding": "UTF-8",
        "maxBatchSize": 200,
        "sobjects": [summary(type_, base, schema.told(type_.name)) for type_ in schema],
    }


def summary(type_: ObjectType, base: str, told: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One object of the global describe; `told` is what an upstream says of it."""
    path = f"{base}/sobjects/{type_.name}"
    urls = {"rowTemplate": f"{path}/{{ID}}", "describe": f"{path}/describe", "sobject": path}
    switches = _switches(type_)
    return {**switches, **{n: v for n, v in (told or {}).items() if n in switches}, "urls": urls}


def _told(reply: Mapping[str, Any], base: str, origin: str) -> dict[str, Any]:
    """An upstream's own reply, with our addresses."""
    kinds = [{**each, "urls": _placed(each.get("urls"), base, origin)} for each in reply["recordTypeInfos"]]
    return {**reply, "urls": _placed(reply["urls"], base, origin), "recordTypeInfos": kinds}


def _placed(urls: Any, base: str, origin: str) -> dict[str, str]:
    given: Mapping[str, str] = urls or {}
    return {name: url.replace(ORIGIN, origin, 1).replace(BASE, base, 1) for name, url in given.items()}


def describe_object(schema: Schema, type_: ObjectType, base: str, origin: str) -> dict[str, Any]:
    """GET sobjects/X/describe. `origin` is scheme and host, for the pages of a record."""
    reply = schema.told(type_.name)
    if reply is not None and "urls" in reply and "recordTypeInfos" in reply:
        return _told(reply, base, origin)
    return {
        "actionOverrides": [],
        **_switches(type_),
        "childRelationships": [_child(child) for child in schema.children(type_.name)],
        "compactLayoutable": True,
        "fields": [_field(type_, field) for field in type_.fields],
        "listviewable": None,
        "lookupLayoutable": None,
        "namedLayoutInfos": [],
        "networkScopeFieldName": None,
        "recordTypeInfos": [_master_record_type(type_, base)],
        "searchLayoutable": True,
        "sobjectDescribeOption": "FULL",
        "supportedScopes": _scopes(type_),
        "urls": _urls(type_, base, origin),
    }


def _switches(type_: ObjectType) -> dict[str, Any]:
    """The keys that the global describe and the object's own share."""
    return {
        "activateable": False,
        "associateEntityType": None,
        "associateParentEntity": None,
        "createable": type_.createable,
        "custom": False,
        "customSetting": False,
        "deepCloneable": False,
        "defaultImplementation": None,
        "deletable": type_.deletable,
        "deprecatedAndHidden": False,
        "extendedBy": None,
        "extendsInterfaces": None,
        "feedEnabled": False,
        "hasSubtypes": False,
        "implementedBy": None,
        "implementsInterfaces": None,
        "isInterface": False,
        "isSubtype": False,
        "keyPrefix": type_.prefix,
        "label": type_.label,
        "labelPlural": type_.plural,
        "layoutable": True,
        "mergeable": mergeable(type_),
        "mruEnabled": False,
        "name": type_.name,
        "queryable": True,
        "replicateable": True,
        "retrieveable": True,
        "searchable": searchable(type_),
        "triggerable": False,
        "undeletable": type_.deletable,
        "updateable": True,
    }


def _field(type_: ObjectType, field: Field) -> dict[str, Any]:
    text = SOAP_TYPES.get(field.type, "xsd:string") == "xsd:string"
    return {
        "aggregatable": field.filterable and field.type not in ("boolean", "address"),
        "aiPredictionField": False,
        "autoNumber": field.auto_number,
        "byteLength": field.length * (BYTES_PER_CHARACTER if text else 1),
        "calculated": False,
        "calculatedFormula": None,
        "cascadeDelete": False,
        "caseSensitive": False,
        "compoundFieldName": field.compound,
        "controllerName": None,
        "createable": field.createable and type_.createable,
        "custom": field.custom,
        "defaultValue": _default(field),
        "defaultValueFormula": None,
        "defaultedOnCreate": field.defaulted or field.name == "Id",
        "dependentPicklist": False,
        "deprecatedAndHidden": False,
        "digits": field.digits,
        "displayLocationInDecimal": False,
        "encrypted": False,
        "externalId": field.external_id,
        "extraTypeInfo": EXTRA_TYPES.get(field.name, "plaintextarea" if field.type == "textarea" else None),
        "filterable": field.filterable,
        "filteredLookupInfo": None,
        "formulaTreatNullNumberAsZero": False,
        "groupable": field.groupable,
        "highScaleNumber": False,
        "htmlFormatted": False,
        "idLookup": field.id_lookup or field.external_id,
        "inlineHelpText": None,
        "label": field.label,
        "length": field.length,
        "mask": None,
        "maskType": None,
        "name": field.name,
        "nameField": field.name_field,
        "namePointing": len(field.to) > 1,
        "nillable": field.nillable,
        "permissionable": field.updateable and field.nillable,
        "picklistValues": [_picklist_value(field, value) for value in field.values],
        "polymorphicForeignKey": len(field.to) > 1,
        "precision": field.precision,
        "queryByDistance": field.type == "address",
        "referenceTargetField": None,
        "referenceTo": list(field.to),
        "relationshipName": field.relationship,
        "relationshipOrder": None,
        "restrictedDelete": False,
        "restrictedPicklist": field.restricted,
        "scale": field.scale,
        "searchPrefilterable": field.type == "reference",
        "soapType": SOAP_TYPES.get(field.type, "xsd:string"),
        "sortable": field.sortable,
        "type": field.type,
        "unique": field.unique,
        "updateable": field.updateable,
        "writeRequiresMasterRead": False,
    }


def _default(field: Field) -> Any:
    return False if field.type == "boolean" and field.default is None else field.default


def _picklist_value(field: Field, value: str) -> dict[str, Any]:
    return {
        "active": True,
        "defaultValue": value == field.default,
        "label": value,
        "validFor": None,
        "value": value,
    }


def _child(child: Child) -> dict[str, Any]:
    return {
        "cascadeDelete": child.field.on_delete == "cascade",
        "childSObject": child.child,
        "deprecatedAndHidden": False,
        "field": child.field.name,
        "junctionIdListNames": [],
        "junctionReferenceTo": [],
        "relationshipName": child.field.children,
        "restrictedDelete": child.field.on_delete == "restrict",
    }


def _master_record_type(type_: ObjectType, base: str) -> dict[str, Any]:
    master = "012000000000000AAA"
    return {
        "active": True,
        "available": True,
        "defaultRecordTypeMapping": True,
        "developerName": "Master",
        "master": True,
        "name": "Master",
        "recordTypeId": master,
        "urls": {"layout": f"{base}/sobjects/{type_.name}/describe/layouts/{master}"},
    }


def _scopes(type_: ObjectType) -> list[Mapping[str, str]]:
    plural = type_.plural.lower()
    everything = {"label": f"All {plural}", "name": "everything"}
    if not type_.owned:
        return [everything]
    found = [
        everything,
        {"label": f"My {plural}", "name": "mine"},
        {"label": f"My team's {plural}", "name": "team"},
    ]
    if type_.find("WhoId"):
        found.append({"label": f"My delegated {plural}", "name": "delegated"})
    if type_.find("Status") and not type_.find("WhoId"):
        found.append({"label": f"Queue owned {plural}", "name": "queue_owned"})
        found.append({"label": f"User owned {plural}", "name": "user_owned"})
    return sorted(found, key=lambda each: each["name"])


def _urls(type_: ObjectType, base: str, origin: str) -> dict[str, str]:
    path = f"{base}/sobjects/{type_.name}"
    return {
        "compactLayouts": f"{path}/describe/compactLayouts",
        "rowTemplate": f"{path}/{{ID}}",
        "approvalLayouts": f"{path}/describe/approvalLayouts",
        "uiDetailTemplate": f"{origin}/{{ID}}",
        "uiEditTemplate": f"{origin}/{{ID}}/e",
        "describe": f"{path}/describe",
        "uiNewRecord": f"{origin}/{type_.prefix}/e",
        "quickActions": f"{path}/quickActions",
        "layouts": f"{path}/describe/layouts",
        "sobject": path,
    }
