"""Mistakes about records of which nobody knows yet whether they were made, and in what is asked about a partner."""

from tests.mutants.planted import DELEGATION, Planted

FORMER = "tests/daemon/cycle/test_former.py::test_"
IMPORTED = f"{FORMER}a_record_that_an_import_made_again_waits_for_what_becomes_of_the_card"

WHILE_IT_IS_MADE = (
    Planted(
        "what was made in part takes the whole along when it is deleted",
        "crmsync.daemon.cycle.unagreed",
        "    return any(there.columns[n] is not None and n not in there.baseline for n in going)\n",
        "    return False\n",
        (
            "tests/daemon/cycle/test_granted.py::test_what_was_made_in_part_is_no_reason_to_delete_the_whole[ecs]",
            "tests/daemon/cycle/test_granted.py::test_what_was_made_in_part_is_no_reason_to_delete_the_whole[crm]",
        ),
    ),
    Planted(
        "what was moved before anybody heard of its create is made once more",
        "crmsync.daemon.cycle.stamped",
        "        if before is None or isinstance(before, Gone | Hidden):",
        "        if False:",
        (
            "tests/daemon/cycle/test_interrupted.py::"
            "test_a_card_that_was_moved_takes_its_announced_create_along_though_nobody_says_that_it_left[True]",
        ),
    ),
    Planted(
        "whose link was given up is no partner, and nobody asks",
        "crmsync.daemon.cycle.former",
        "return None if deserted or disputed else Ambiguous(let_go, LET_GO)",
        "return None if deserted or disputed else verdict",
        (
            f"{FORMER}a_card_like_one_that_is_untagged_by_now_is_asked_about[that one]",
            f"{FORMER}a_record_like_one_whose_card_is_still_there_is_asked_about[in the mailbox-that one-untagged]",
        ),
    ),
    Planted(
        "what came from the CRM is not known to the match when it loses its link",
        "crmsync.daemon.cycle.linked",
        "    make_known(cx, [r.work for r in removals])\n",
        "",
        (
            f"{FORMER}a_record_like_one_whose_card_is_still_there_is_asked_about[in the CRM-that one-untagged]",
            f"{IMPORTED}[in the CRM-later-approved]",
        ),
    ),
    Planted(
        "what was made again does not wait for the decision about the delete",
        "crmsync.daemon.cycle.candidates",
        "                self.disputed.append(candidate)\n",
        "                pass\n",
        (
            f"{IMPORTED}[in the mailbox-later-approved]",
            f"{FORMER}a_card_that_an_import_made_again_waits_for_what_becomes_of_the_record[approved]",
        ),
    ),
    Planted(
        "a link that was given up binds the record of a card that is gone",
        "crmsync.daemon.cycle.candidates",
        "        if pair is None or pair.id in gone:",
        "        if pair is None:",
        (f"{FORMER}a_card_that_is_made_again_takes_up_the_record_that_was_left_alone",),
    ),
    Planted(
        "a record whose create will be repeated is asked about",
        "crmsync.daemon.cycle.claims",
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
        "    tx.held.set_state([h.id for h in (*items.values(), *records.values())], HeldState.DONE)\n",
        "",
        ("tests/daemon/cycle/test_questions.py::test_one_of_two_records_goes",),
    ),
    Planted(
        "what was empty when a create was announced is nothing that was agreed",
        "crmsync.daemon.cycle.agreed",
        "    return {**{n: None for n in able if n not in fixed}, **task.columns}\n",
        "    return task.columns\n",
        (
            "tests/daemon/cycle/test_interrupted_creates.py::"
            "test_what_was_empty_when_the_create_was_announced_is_an_edit_on_either_side",
        ),
    ),
    Planted(
        "what is in a collection that has vanished can be a partner",
        "crmsync.daemon.operations.reconcile",
        "    return items + [at for at in findable if qualified(*at) not in under_way]\n",
        "    return items\n",
        (
            "tests/daemon/cycle/test_reconcile.py::"
            "test_what_stands_in_a_collection_that_is_no_longer_there_is_nobodys_partner",
        ),
    ),
    Planted(
        "two accounts make one record again, each for itself",
        "crmsync.daemon.cycle.shared",
        "    return frozenset({pair.crm_id}) if others and pair.id not in makers else frozenset()",
        "    return frozenset()",
        (
            "tests/daemon/cycle/test_shared.py::"
            "test_a_record_that_waits_to_be_made_again_in_a_copy_is_made_once[heard of]",
        ),
    ),
    Planted(
        "a merge takes the record of a card that was unlinked by hand",
        "crmsync.daemon.cycle.load",
        "    return taken.untagged or taken.id in items_gone(cx, [taken])[0]",
        "    return True",
        (f"{FORMER}a_card_that_was_unlinked_by_hand_stays_so_when_another_record_is_merged_into_its_own",),
    ),
)
