"""Our describes against real ones: the same keys, and the same facts for the fields that both have."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from crmsync.state.replica.describe import describe_global, describe_object
from crmsync.state.replica.metadata import standard

SHARED = os.environ.get("CRMSYNC_SHARED")
REAL_OBJECTS = ("Account", "Contact", "Event", "Lead", "Opportunity")
FACTS = (
    "type", "length", "precision", "scale", "digits", "label", "soapType", "byteLength", "nillable", "createable",
    "updateable", "filterable", "sortable", "groupable", "aggregatable", "compoundFieldName", "relationshipName",
    "restrictedPicklist", "nameField", "idLookup", "namePointing", "queryByDistance", "defaultValue",
)  # fmt: skip
# Where this CRM differs from the described organisations on purpose: field -> facts
DIFFERENT = {
    "Account.Name": {"compoundFieldName"},  # that organisation has person accounts
    "Lead.OwnerId": {"namePointing"},  # no queues here
    "Event.OwnerId": {"namePointing"},
    "Event.RecurrenceTimeZoneSidKey": {"restrictedPicklist"},  # any zone name is taken
    "Event.ActivityDate": {"aggregatable"},
    "Opportunity.Fiscal": {"byteLength"},
}

needs_shared = pytest.mark.skipif(
    not SHARED, reason="CRMSYNC_SHARED is not set: no real describes to compare with"
)


def ours(name: str) -> dict[str, Any]:
    schema = standard()
    base = "/services/data/v59.0"
    return json.loads(json.dumps(describe_object(schema, schema.objects[name], base, "https://localhost")))  # type: ignore[no-any-return]


def real(name: str) -> dict[str, Any]:
    assert SHARED
    path = Path(SHARED) / "salesforce" / f"{name}.describe.json"
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


@needs_shared
@pytest.mark.parametrize("name", sorted(standard().objects))
def test_key_sets(name: str) -> None:
    mine, theirs = ours(name), real(name if name in REAL_OBJECTS else "Contact")
    newer = {"associateEntityType", "associateParentEntity", "sobjectDescribeOption"}  # since API 49
    assert set(mine) == set(theirs) | newer
    keys = set(theirs["fields"][0])
    assert all(set(field) == keys for field in mine["fields"])
    child_keys = set(theirs["childRelationships"][0])
    assert all(set(child) == child_keys for child in mine["childRelationships"])
    for group in ("recordTypeInfos", "supportedScopes"):
        assert set(mine[group][0]) == set(theirs[group][0])
    values = [value for field in mine["fields"] for value in field["picklistValues"]]
    assert all(set(value) == {"active", "defaultValue", "label", "validFor", "value"} for value in values)


@needs_shared
@pytest.mark.parametrize("name", REAL_OBJECTS)
def test_facts_of_fields(name: str) -> None:
    theirs = {field["name"]: field for field in real(name)["fields"]}
    wrong = []
    for field in ours(name)["fields"]:
        other = theirs.get(field["name"])
        allowed = DIFFERENT.get(f"{name}.{field['name']}", set())
        for fact in FACTS if other else ():
            if field[fact] != other[fact] and fact not in allowed:  # type: ignore[index]
                wrong.append((field["name"], fact, field[fact], other[fact]))  # type: ignore[index]
    assert not wrong


@needs_shared
@pytest.mark.parametrize("name", REAL_OBJECTS)
def test_children_are_treated_as_described(name: str) -> None:
    facts = ("cascadeDelete", "restrictedDelete", "relationshipName")
    theirs = {
        (c["childSObject"], c["field"]): [c[f] for f in facts] for c in real(name)["childRelationships"]
    }
    mine = {(c["childSObject"], c["field"]): [c[f] for f in facts] for c in ours(name)["childRelationships"]}
    assert {key: facts for key, facts in mine.items() if key in theirs and facts != theirs[key]} == {}


def test_the_external_id_field() -> None:
    for name in ("Contact", "Event", "Lead", "Task"):
        field = next(f for f in ours(name)["fields"] if f["name"] == "Crmsync_Id__c")
        facts = {
            k: field[k]
            for k in ("type", "length", "externalId", "unique", "caseSensitive", "custom", "idLookup")
        }
        assert facts == {
            "type": "string", "length": 255, "externalId": True, "unique": True, "caseSensitive": False,
            "custom": True, "idLookup": True,
        }  # fmt: skip


def test_the_global_describe_names_every_object() -> None:
    listed = {
        each["name"]: each["keyPrefix"]
        for each in describe_global(standard(), "/services/data/v59.0")["sobjects"]
    }
    assert listed == {
        "Account": "001", "Attachment": "00P", "Case": "500", "Contact": "003", "EmailMessage": "02s",
        "EmailMessageRelation": "0EM", "Event": "00U", "EventRelation": "0RE", "Lead": "00Q", "Opportunity": "006",
        "Organization": "00D", "Profile": "00e", "Task": "00T", "User": "005",
    }  # fmt: skip
