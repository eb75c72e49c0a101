"""The object files: everything they refer to exists."""

from crmsync.state.replica.metadata import ObjectType, Schema, standard

OBJECTS = list(standard())


def test_references_lead_to_objects_that_are_there() -> None:
    schema = standard()
    assert {target for o in OBJECTS for f in o.fields for target in f.to} <= set(schema.objects)
    assert all(f.relationship != f.name for o in OBJECTS for f in o.fields)


def test_compound_parts_name_a_field() -> None:
    for object_type in OBJECTS:
        named = {f.compound for f in object_type.fields if f.compound}
        assert named <= {f.name for f in object_type.fields}


def test_child_relationships_have_a_name_of_their_own() -> None:
    schema = standard()
    for object_type in OBJECTS:
        names = [c.field.children for c in schema.children(object_type.name) if c.field.children]
        assert len(names) == len(set(names))


def test_unique_fields_are_text_and_defaults_fit() -> None:
    for field in (f for o in OBJECTS for f in o.fields):
        assert not field.unique or field.length
        assert field.default is None or not field.restricted or field.default in field.values


def test_names_ignore_case() -> None:
    schema = standard()
    contact = schema.find("cONTACT")
    assert contact is schema.objects["Contact"]
    assert contact.find("LASTNAME") is contact.by_name["lastname"]
    assert contact.relationship("account") is contact.find("AccountId")
    assert contact.find("nothing") is None
    assert schema.of_id("003000000000001AAA") is contact


def test_an_object_knows_what_names_it() -> None:
    named = {o.name: o.name_field for o in OBJECTS}
    assert (named["Contact"], named["Task"], named["Case"]) == ("Name", "Subject", "CaseNumber")
    assert Schema([ObjectType("X", "a00", "X", "Xs", ())]).objects["X"].name_field == "Id"
