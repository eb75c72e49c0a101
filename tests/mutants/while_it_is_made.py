"""Mistakes about records of which nobody knows yet whether they were made, and in what is asked about a partner."""

from tests.mutants.planted import DELEGATION, Planted

WHILE_IT_IS_MADE = (
    Planted(
        "a record whose create will be repeated is asked about",
        "crmsync.daemon.cycle.newcomers",
        "    collection, item = split(create.item)\n",
        '    collection, item = "", ""\n',
        (
            "tests/daemon/cycle/test_interrupted_creates.py::"
            "test_a_record_that_was_made_without_anybody_hearing_of_it_is_no_newcomer",
        ),
    ),
    Planted(
        "a link follows to where the owner's record is being made",
        "crmsync.daemon.cycle.owners",
        "        i.key == cx.signer.record_key(owner.name, split(i.item)[0], uid)\n",
        "        False\n",
        (f"{DELEGATION}a_link_does_not_follow_to_where_the_owners_record_is_being_made",),
    ),
    Planted(
        "a question that has answered itself stays open",
        "crmsync.daemon.cycle.linking",
        "    tx.held.set_state([h.id for h in (*items.values(), *records.values()) if _open(h)], HeldState.DONE)\n",
        "",
        ("tests/daemon/cycle/test_questions.py::test_one_of_two_records_goes",),
    ),
)
