from crmsync.config.mapping import defaults
from crmsync.config.values import KINDS
from crmsync.connectors.columns import COLUMNS
from crmsync.connectors.contract import Kind


def test_the_data_file_has_every_canonical_column_in_the_order_of_the_columns():
    assert {k: list(defaults("salesforce")[k]) for k in KINDS} == {k.value: list(COLUMNS[k]) for k in COLUMNS}
    assert set(KINDS) == {Kind(k).value for k in COLUMNS}


def test_columns_without_a_field_have_no_rule(loaded, good):
    rules = loaded(good).crm["main"].rules("contact")
    assert "nickname" not in rules
    assert rules["last_name"].field == "LastName"


def test_private_columns_and_notes_do_not_travel(loaded, good):
    rules = loaded(good).crm["main"].rules("contact")
    silent = {column for column, rule in rules.items() if rule.direction == "none"}
    assert silent == {"phone_home", "notes"} | {c for c in rules if c.startswith("address_home_")}


def test_what_the_crm_computes_only_comes_back(loaded, good):
    crm = loaded(good).crm["main"]
    assert crm.rules("contact")["company"].direction == "to_ecs"
    assert crm.rules("task")["completed_at"].direction == "to_ecs"


def test_an_override_changes_single_keys(loaded, good):
    text = good + '[crm.main.mapping.contact.phone_mobile]\ndirection = "to_crm"\n'
    text += '[crm.main.mapping.contact.nickname]\nfield = "Nickname__c"\nconflict = "ask"'
    rules = loaded(text).crm["main"].rules("contact")
    assert (rules["phone_mobile"].field, rules["phone_mobile"].direction) == ("MobilePhone", "to_crm")
    assert (rules["nickname"].field, rules["nickname"].conflict) == ("Nickname__c", "ask")
    assert rules["phone_mobile"].conflict == "latest"


def test_an_unknown_column_lists_the_known_ones(problems, good):
    ((key, problem),) = problems(good + '[crm.main.mapping.contact.phone_mobil]\nfield = "X"').items()
    assert key == "crm.main.mapping.contact.phone_mobil"
    assert problem.suggestion == "phone_mobile"
    assert "birthday" in problem.expected


def test_a_column_that_the_defaults_leave_out_needs_a_field(problems, good):
    ((key, problem),) = problems(good + '[crm.main.mapping.contact.nickname]\ndirection = "both"').items()
    assert key == "crm.main.mapping.contact"
    assert "nickname" in problem.expected


def test_two_columns_cannot_write_one_field(problems, good):
    ((_, problem),) = problems(good + '[crm.main.mapping.contact.phone_other]\nfield = "phone"').items()
    assert "phone_work and phone_other" in problem.found
