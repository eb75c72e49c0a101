"""Mistakes in what keeps the CRM's pages safe, and edits from being lost."""

from tests.mutants.planted import Planted

SECURITY = "tests/daemon/crm_pages/test_security.py::test_"
RECORDS = "tests/daemon/crm_pages/test_records.py::test_"

ON_THE_CRMS_PAGES = (
    Planted(
        "an edit is saved over whatever is there by now",
        "crmsync.daemon.crm_pages.desk",
        'headers={"if-match": version}',
        "headers={}",
        (f"{RECORDS}a_form_that_is_out_of_date_shows_both",),
    ),
    Planted(
        "a form writes what it only showed",
        "crmsync.daemon.crm_pages.edits",
        '        if _plain(now.get(each.name, "")) != _plain(was.get(each.name, ""))\n',
        "",
        (f"{RECORDS}an_edit_sends_what_was_changed_and_nothing_else",),
    ),
    Planted(
        "a link of a record may run in the browser",
        "crmsync.daemon.crm_pages.values",
        "return address if _is_web(address) else None",
        "return text",
        (f"{RECORDS}hostile_values_stay_text",),
    ),
    Planted(
        "the form of any session will do",
        "crmsync.daemon.crm_pages.site",
        'if request.method not in READING and not fits(visit.session, form.one("token")):',
        "if False:",
        (f"{SECURITY}requests_of_other_pages_are_refused",),
    ),
    Planted(
        "after the login anywhere",
        "crmsync.daemon.crm_pages.login",
        "return text if ours and plain",
        "return text if text",
        (f"{SECURITY}after_the_login_only_to_our_own_pages",),
    ),
)
