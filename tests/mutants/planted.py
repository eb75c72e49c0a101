"""Mistakes that somebody could make in a rule of the sync, each with the tests that catch it.

What keeps a rule may look idle on a quiet day: these are the lines that must not go. ``old`` has to stand in the module
exactly once; whoever rewrites it rewrites the mistake too.
"""

from dataclasses import dataclass

CYCLE = "tests/daemon/cycle/test_cycle.py::test_"
HARD = "tests/daemon/cycle/test_hard_cases.py::test_"
ANEW = "tests/daemon/cycle/test_configured_anew.py::test_"
FOUND = "tests/daemon/cycle/test_found.py::test_"
RULES = "tests/daemon/cycle/test_rules.py::test_"
BELIEVED = "tests/daemon/cycle/test_believed.py::test_"
ATTENDEES = "tests/daemon/cycle/test_attendees.py::test_"
DELEGATION = "tests/daemon/cycle/test_delegation.py::test_"
MAIL = "tests/daemon/cycle/test_mail.py::test_"
PROVISIONAL = "tests/daemon/cycle/test_provisional.py::test_"
STAMPING = "tests/daemon/cycle/test_stamping.py::test_"
OVERLAP = "tests/connectors/dav/test_groups_overlap.py::test_"
DAV = "tests/connectors/dav/test_writing.py::"


@dataclass(frozen=True, slots=True)
class Planted:
    name: str
    module: str
    old: str
    new: str
    caught_by: tuple[str, ...]


PLANTED = (
    # ── Nothing is acknowledged before it is durable ─────────────────────────────────────────────────────────
    Planted(
        "the cursor is stored before the changes",
        "crmsync.daemon.cycle.detect",
        """\
        with cx.state.transaction() as tx:
            for part in in_batches(page.items, 500):
                _record_ecs(cx, tx, place, part, pull.afresh)
""",
        """\
        with cx.state.transaction() as tx:
            tx.cursors.put(pull.scope, pull.stored(page))
        with cx.state.transaction() as tx:
            for part in in_batches(page.items, 500):
                _record_ecs(cx, tx, place, part, pull.afresh)
""",
        (f"{RULES}what_was_detected_is_on_disk_before_the_cursor[ecs]",),
    ),
    Planted(
        "the cursor of a listing that did not come to its end is kept",
        "crmsync.daemon.cycle.detect",
        "            if cursor is not None:\n                tx.cursors.put(pull.scope, pull.stored(page))",
        "            tx.cursors.put(pull.scope, pull.stored(page))",
        (f"{RULES}the_cursor_of_a_listing_that_broke_off_is_not_kept",),
    ),
    Planted(
        "the CRM's cursor is stored before the changes",
        "crmsync.daemon.cycle.poll",
        """\
    with cx.state.transaction() as tx:
        for part in in_batches(page.items, 500):
            linked =""",
        """\
    with cx.state.transaction() as tx:
        tx.cursors.put(scope, page.cursor)
    with cx.state.transaction() as tx:
        for part in in_batches(page.items, 500):
            linked =""",
        (f"{RULES}what_was_detected_is_on_disk_before_the_cursor[crm]",),
    ),
    Planted(
        "writes are sent without an intent",
        "crmsync.daemon.cycle.apply",
        "        _announce(cx, some, forestalled)\n",
        "",
        (f"{FOUND}the_loser_is_logged_although_the_process_died_after_the_write[ecs]",),
    ),
    Planted(
        "a create is repeated with what stands there now, and not as it was announced",
        "crmsync.daemon.cycle.apply",
        'elif old.action == "create":',
        "elif False:",
        (f"{HARD}an_edit_between_a_create_whose_answer_was_lost_and_its_repetition_survives[False-False]",),
    ),
    Planted(
        "what was detected while an item was being synced goes with its row",
        "crmsync.daemon.cycle.notes",
        "tx.queue.done_unless_changed(self.done)",
        "tx.queue.done([r.id for r in self.done])",
        (f"{RULES}what_is_detected_while_its_item_is_being_synced_stays_due",),
    ),
    # ── No delete without proof ──────────────────────────────────────────────────────────────────────────────
    Planted(
        "an empty listing is trusted, without a look at the items themselves",
        "crmsync.daemon.cycle.load",
        "        cached = cx.records.take(place.key, id, row.version) if row is not None else None\n",
        "        if row is not None and row.gone:\n"
        "            _set(work, side, Gone(id))\n"
        "            continue\n"
        "        cached = cx.records.take(place.key, id, row.version) if row is not None else None\n",
        (f"{FOUND}a_listing_that_left_out_what_is_there_proves_no_delete",),
    ),
    Planted(
        "what is hidden is taken for gone",
        "crmsync.daemon.cycle.work",
        "        return Seen.HIDDEN",
        "        return Seen.GONE",
        (f"{HARD}an_item_that_was_out_of_sight_once_is_linked_again",),
    ),
    Planted(
        "that an item was selected again is forgotten",
        "crmsync.daemon.cycle.work",
        'untagged=False, reason=SELECTED_AGAIN, crm_version="")',
        'untagged=False, reason="", crm_version="")',
        (f"{ANEW}what_is_selected_again_has_a_record_made_however_long_that_takes[the CRM did not answer]",),
    ),
    Planted(
        "our own delete that nobody heard of is taken for somebody else's",
        "crmsync.daemon.cycle.recover",
        "                    work.pair = replace(work.pair, reason=BROUGHT_BACK)\n",
        "                    pass\n",
        (
            "tests/daemon/cycle/test_interrupted.py::"
            "test_what_a_person_has_brought_back_is_not_deleted_after_our_own_delete[crm-]",
        ),
    ),
    Planted(
        "what was selected again is made again whenever its record is deleted",
        "crmsync.daemon.cycle.work",
        'return replace(pair, reason="") if pair.reason in (SELECTED_AGAIN, BROUGHT_BACK) else pair',
        "return pair",
        (f"{ANEW}the_record_of_what_was_selected_again_may_be_deleted_before_it_was_looked_at",),
    ),
    Planted(
        "a delete is believed although a part of the ECS side does not answer",
        "crmsync.daemon.cycle.run",
        "    left = [r for r in removals if not (_gone(r) and r.work.pair.kind in cx.blind())]",
        "    return list(removals)",
        (f"{FOUND}a_card_that_is_moved_to_a_book_that_does_not_answer_is_not_deleted",),
    ),
    Planted(
        "the guard is skipped",
        "crmsync.daemon.cycle.removals",
        "            if guard.storm(",
        "            if False and guard.storm(",
        (f"{CYCLE}a_storm_of_deletes_is_held_and_can_be_rejected",),
    ),
    Planted(
        "a record of somebody else is deleted with the card",
        "crmsync.daemon.cycle.linked",
        "        owned=owner == cx.user,",
        "        owned=True,",
        (f"{RULES}a_deleted_card_takes_no_record_of_somebody_else_with_it",),
    ),
    Planted(
        "a record that another account links is deleted with the card",
        "crmsync.daemon.cycle.linked",
        "        elsewhere=any(not cx.account.is_theirs(p.account) and not is_copy_of(pair, p) for p in others),",
        "        elsewhere=False,",
        (f"{RULES}a_deleted_card_takes_no_record_with_it_that_another_account_links",),
    ),
    Planted(
        "a delete beats an edit",
        "crmsync.daemon.cycle.work",
        "    return Seen.EDITED if standing.changed(watched) else Seen.SAME",
        "    return Seen.SAME",
        (f"{CYCLE}an_edit_beats_a_delete[ecs]",),
    ),
    # ── No create without a match ────────────────────────────────────────────────────────────────────────────
    Planted(
        "the match before a create in the CRM is skipped",
        "crmsync.daemon.cycle.newcomers",
        "        found, answer = match(candidate, near, own.around(near)), decided",
        "        found, answer = NoPartner(), decided",
        (f"{CYCLE}the_same_person_on_both_sides_is_linked_not_doubled",),
    ),
    Planted(
        "the match before a create on the ECS side is skipped",
        "crmsync.daemon.cycle.newcomers",
        "        found, answer = match(candidates[id], near, theirs.around(near)), decided",
        "        found, answer = NoPartner(), decided",
        (f"{CYCLE}an_untagged_card_of_the_same_person_is_found_and_tagged",),
    ),
    Planted(
        "the stamp's signature is not verified",
        "crmsync.daemon.cycle.stamps",
        "        return stamp.uid == uid and hmac.compare_digest(made.mac.encode(), _bytes(stamp.mac))",
        "        return stamp.uid == uid",
        (f"{RULES}a_stamp_that_is_not_ours_links_nothing[made up]",),
    ),
    Planted(
        "a stamp counts on whatever item it stands",
        "crmsync.daemon.cycle.stamps",
        "        return stamp.uid == uid and hmac.compare_digest(made.mac.encode(), _bytes(stamp.mac))",
        "        return hmac.compare_digest(made.mac.encode(), _bytes(stamp.mac))",
        (f"{RULES}a_stamp_that_is_not_ours_links_nothing[copied]",),
    ),
    # ── No write over something newer ────────────────────────────────────────────────────────────────────────
    Planted(
        "a PUT goes without If-Match",
        "crmsync.connectors.dav.client",
        """condition = {"If-Match": expected} if expected else {"If-None-Match": "*"}""",
        """condition = {} if expected else {"If-None-Match": "*"}""",
        (f"{DAV}TestUpdate::test_that_lost_the_race_is_stale",),
    ),
    Planted(
        "a PUT of a new item goes without If-None-Match",
        "crmsync.connectors.dav.client",
        """condition = {"If-Match": expected} if expected else {"If-None-Match": "*"}""",
        """condition = {"If-Match": expected} if expected else {}""",
        (f"{DAV}TestCreate::test_costs_one_request_and_two_a_group",),
    ),
    Planted(
        "a single write to the CRM is not conditional",
        "crmsync.connectors.salesforce.writes",
        """            headers={"If-Unmodified-Since": _http_time(write.expected)},\n""",
        "",
        ("tests/connectors/salesforce/test_writes.py::test_a_single_write_is_conditional",),
    ),
    Planted(
        "writes to the CRM are not compared with what stands there",
        "crmsync.connectors.salesforce.writes",
        "            self.outcomes |= lookup.settled(self.table, changes)",
        "            pass",
        ("tests/connectors/salesforce/test_writes.py::test_every_row_has_its_own_outcome",),
    ),
    # ── What is an edit, and what is not ─────────────────────────────────────────────────────────────────────
    Planted(
        "the snapshot advances although one side did not take the write",
        "crmsync.daemon.cycle.agreed",
        "    reached = merged.touched - with_group(kind, failed)",
        "    reached = merged.touched",
        (f"{RULES}what_one_side_did_not_take_is_tried_again",),
    ),
    Planted(
        "our own writes come back as changes of the ECS side",
        "crmsync.daemon.cycle.detect",
        "        return pair.ecs_version == version",
        "        return False",
        (f"{RULES}our_own_writes_are_not_looked_at_again[ecs]",),
    ),
    Planted(
        "our own writes come back as changes of the CRM",
        "crmsync.daemon.cycle.echo",
        "    return not work.pair.reason and all(",
        "    return False and all(",
        (f"{RULES}an_echo_that_comes_without_its_version_costs_no_look_at_the_item",),
    ),
    Planted(
        "somebody else's edit in what was read back passes for our own echo",
        "crmsync.daemon.cycle.confirm",
        """return "" if foreign(task, work.record(side).columns) else task.done.version""",
        "return task.done.version",
        (f"{HARD}a_foreign_edit_of_the_written_column_before_the_read_back_is_not_lost",),
    ),
    Planted(
        "a CRM without birthdays erases birthdays",
        "crmsync.daemon.cycle.work",
        "    columns = {n: v for n, v in record.columns.items() if n in capabilities.columns.get(kind, ())}",
        "    held = capabilities.columns.get(kind, ())\n"
        "    columns = {n: record.columns[n] if n in held else None for n in {**known, **record.columns}}",
        (f"{RULES}a_crm_without_birthdays_erases_none[no longer has]",),
    ),
    Planted(
        "what a side cuts off is taken for an edit",
        "crmsync.daemon.cycle.work",
        "    return {n: kept[n] if n in kept else shown.get(n, v) for n, v in columns.items()}",
        "    return dict(columns)",
        (f"{RULES}what_the_crm_cuts_off_is_no_edit",),
    ),
    Planted(
        "what only a copy has is taken for agreed",
        "crmsync.daemon.cycle.apply",
        "        return self.outcome if isinstance(self.outcome, Done) and not self.provisional else None",
        "        return self.outcome if isinstance(self.outcome, Done) else None",
        (
            f"{PROVISIONAL}an_update_is_agreed_when_the_crm_has_it",
            f"{PROVISIONAL}a_create_is_linked_when_the_crm_has_it",
        ),
    ),
    Planted(
        "what was given up on its way is written once more",
        "crmsync.daemon.cycle.confirm",
        "    _note_abandoned(cx, tx, draft, cycle)\n",
        "",
        (f"{PROVISIONAL}it_comes_back_as_a_conflict",),
    ),
    # ── Whose turn it is ─────────────────────────────────────────────────────────────────────────────────────
    Planted(
        "the settle time is ignored",
        "crmsync.state.queue",
        "settled=now - settle, limit",
        "settled=now, limit",
        ("tests/state/test_queue.py::test_the_settle_time_counts_from_the_last_change",),
    ),
    Planted(
        "a card is written to while its person is still editing it",
        "crmsync.daemon.cycle.run",
        "    return all(r.changed_at <= cx.now() - wish.settle for r in work.rows)",
        "    return True",
        (f"{HARD}an_edit_in_the_crm_does_not_cut_the_settle_time_of_the_card_short",),
    ),
    Planted(
        "an item that fails is tried for ever",
        "crmsync.daemon.cycle.apply",
        "    if attempts + 1 >= cx.retries.budget:",
        "    if False:",
        (f"{RULES}an_item_that_keeps_failing_is_parked_after_its_last_attempt",),
    ),
    Planted(
        "an account is synced without its lock",
        "crmsync.daemon.engine",
        "            with self.state.lock(account.name), self._at_work(account.name):",
        "            with self._at_work(account.name):",
        (f"{RULES}an_account_that_another_process_syncs_is_left_alone",),
    ),
    Planted(
        "a lock keeps nobody out",
        "crmsync.state.locks",
        "fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)",
        ("tests/state/test_locks.py::test_one_thread_syncs_an_account[sqlite]",),
    ),
    Planted(
        "who holds a lock in PostgreSQL writes on any connection",
        "crmsync.state.locks",
        "        with self._mine[-1].writing() as connection:\n            yield connection",
        "        yield None",
        (
            "tests/daemon/losses/test_lost_locks.py::"
            "test_what_was_begun_under_a_lock_is_not_committed_without_it",
        ),
    ),
    Planted(
        "a pass goes on without its turn at a replica in PostgreSQL",
        "crmsync.state.replica.local.fence",
        "            self._check()\n            yield work",
        "            yield work",
        (
            "tests/daemon/replica/test_postgresql.py::"
            "test_a_pass_that_lost_its_turn_sends_nothing_more[sessions ended]",
        ),
    ),
    # ── What is missing, and what is meant ───────────────────────────────────────────────────────────────────
    Planted(
        "a record that is missing once is unlinked",
        "crmsync.daemon.cycle.linked",
        "            case Unlink(reason=reason) if reason == UNSEEN and not looked_before(work):",
        "            case Unlink(reason=reason) if False:",
        (f"{BELIEVED}a_record_that_cannot_be_seen_once_keeps_its_link",),
    ),
    Planted(
        "an item is gone when its id alone says so",
        "crmsync.daemon.cycle.contradicted",
        "        if isinstance(work.ecs, Gone) and not listed_as_gone(work.rows):",
        "        if False:",
        (f"{BELIEVED}a_card_that_is_gone_by_its_id_alone_is_not_made_again",),
    ),
    Planted(
        "an announced create names its item without its collection",
        "crmsync.daemon.cycle.births",
        "        item=qualified(newcomer.place.key, id) if ecs else id,",
        "        item=id,",
        ("tests/daemon/machine/test_same_names.py::test_an_interrupted_create_is_repeated_for_its_own_item",),
    ),
    Planted(
        "stamps that are under way outlive the cycle",
        "crmsync.daemon.cycle.stamping",
        "            self._helper.shutdown(wait=True)",
        "            self._helper.shutdown(wait=False)",
        (f"{STAMPING}whoever_ends_the_cycle_early_waits_for_what_is_under_way",),
    ),
    Planted(
        "a stamp writes over the link as it is by now",
        "crmsync.daemon.cycle.stamping",
        "            elif now.get(pair.id) == pair:",
        "            else:",
        (f"{STAMPING}a_link_that_was_changed_meanwhile_is_not_overwritten",),
    ),
    Planted(
        "nothing is kept of what an undo writes over",
        "crmsync.daemon.operations.undo_columns",
        'first.kind, "undo", pair.id, overwritten(record, write))',
        'first.kind, "undo", pair.id)',
        (
            "tests/daemon/cycle/test_undo_again.py"
            "::test_what_an_interrupted_undo_has_replaced_stands_in_the_history[exact-ecs]",
        ),
    ),
    Planted(
        "an edit by a person's hand passes for a write of ours",
        "crmsync.daemon.operations.amend",
        '"edited by a person")',
        '"edited by a person", found.pair.id if found.pair else None)',
        ("tests/daemon/test_amend.py::test_an_edit_that_was_interrupted_is_carried_on_all_the_same[killed]",),
    ),
    Planted(
        "a write is planned by what stands there before another one to its item has ended",
        "crmsync.connectors.dav.writing",
        "                if before is not None and not group.items.isdisjoint(before.items):",
        "                if before is not None and False:",
        (f"{OVERLAP}what_meets_an_item_that_is_under_way_is_planned_when_that_has_ended",),
    ),
    Planted(
        "writes go on leaving after the conversation has broken off",
        "crmsync.connectors.dav.sending",
        "        self._steps.waiting.clear()",
        "        pass",
        (f"{OVERLAP}after_a_reading_back_that_breaks_off_nothing_more_leaves",),
    ),
    Planted(
        "whoever reads waits for a connection until nobody writes",
        "crmsync.connectors.dav.source",
        "_CONNECTIONS = MOST_AT_A_TIME + 2",
        "_CONNECTIONS = MOST_AT_A_TIME",
        (f"{OVERLAP}whoever_reads_need_not_wait_for_those_who_write",),
    ),
    Planted(
        "a server that begins to rewrite links is believed as before",
        "crmsync.connectors.dav.looking",
        "            self._habits.keeps_stamps = all(",
        "            self._habits.keeps_stamps |= all(",
        (f"{DAV}TestStamps::test_are_all_looked_at_again_when_the_server_begins_to_rewrite",),
    ),
    Planted(
        "a link is believed without a version in the answer",
        "crmsync.connectors.dav.looking",
        "isinstance(p.meant, Record) and answer.taken and answer.etag",
        "isinstance(p.meant, Record) and answer.taken",
        (f"{DAV}TestStamps::test_without_a_version_in_the_answer_are_looked_at",),
    ),
    # ── What people may see, and what they did since ─────────────────────────────────────────────────────────
    Planted(
        "undo ignores what people have changed since",
        "crmsync.daemon.operations.undo_columns",
        "        stands = same(record.columns.get(one.column), shown.get(one.column, one.new))",
        "        stands = True",
        (f"{RULES}undo_leaves_alone_what_people_have_changed_since",),
    ),
    Planted(
        "undo of a create deletes what people have changed since",
        "crmsync.daemon.operations.undo_items",
        "    if sent is None and (record.version != known or _edited(cx, place, pair, one.side, record)):",
        "    if False:",
        (f"{RULES}undo_of_a_create_leaves_alone_what_people_have_changed_since",),
    ),
    Planted(
        "undo of an unlink links to a record that has gone",
        "crmsync.daemon.operations.undo_items",
        "    if standing(cx, partner) is None:",
        "    if False:",
        ("tests/daemon/cycle/test_found_undoing.py::test_no_card_is_linked_again_to_a_record_that_has_gone",),
    ),
    Planted(
        "what the account's CRM user may not see is read for it",
        "crmsync.daemon.cycle.load",
        "            if not access.read:",
        "            if False:",
        (f"{RULES}a_record_that_its_user_may_no_longer_see_is_unlinked_and_not_read",),
    ),
    Planted(
        "a match finds records that the account's CRM user may not see",
        "crmsync.daemon.cycle.candidates",
        "    seen = [r for r in found if r.id not in visible or visible[r.id].read]",
        "    seen = list(found)",
        (f"{RULES}a_record_that_the_user_may_not_see_is_no_partner",),
    ),
    Planted(
        "what is private leaves the mailbox",
        "crmsync.daemon.cycle.survey",
        "    if cx.account.keeps_out(record):",
        "    if False:",
        (f"{CYCLE}a_private_appointment_stays_out",),
    ),
    # ── What is somebody else's ──────────────────────────────────────────────────────────────────────────────
    Planted(
        "a delegate's account brings in what is the owner's",
        "crmsync.daemon.cycle.newcomers",
        "by_others(cx, own(cx, unstamped))",
        "by_others(cx, unstamped)",
        (DELEGATION + "it_waits_for_the_owners_account_which_brings_it_in",),
    ),
    Planted(
        "a link follows to where the owner's account has one",
        "crmsync.daemon.cycle.load",
        "        if claimed(cx, tx, place, found):\n            return\n",
        "",
        (DELEGATION + "a_link_does_not_follow_to_where_the_owner_has_one",),
    ),
    Planted(
        "what is private is given to another account",
        "crmsync.daemon.cycle.load",
        " and not a.private]",
        "]",
        ("tests/daemon/cycle/test_commons.py::test_what_is_private_is_not_shared",),
    ),
    Planted(
        "everybody's own mailbox is one",
        "crmsync.daemon.cycle.load",
        "    if not place.connector.capabilities.receives and not place.collection.owner:",
        "    if False:",
        (MAIL + "nobody_is_given_what_lies_in_anothers_mailbox",),
    ),
    Planted(
        "a message in two mailboxes is made twice at once",
        "crmsync.daemon.cycle.shared",
        "    return copies | frozenset(",
        "    return frozenset(",
        (MAIL + "also_when_both_accounts_meet_it_at_the_same_moment[create-mail/bob]",),
    ),
    Planted(
        "the owner answers only over the delegate's own protocol",
        "crmsync.daemon.cycle.owners",
        "a.looks_for(place.collection.kinds)",
        "any(m.type == place.login.type for m in a.mailboxes)",
        (DELEGATION + "it_waits_for_the_owners_account_which_brings_it_in[two protocols]",),
    ),
    Planted(
        "what a login is refused once is unlinked",
        "crmsync.daemon.operations.reconcile",
        "            elif tx.meta.get(scopes[number]):",
        "            elif True:",
        ("tests/daemon/cycle/test_reconcile.py::test_a_login_that_was_let_in_again_starts_anew",),
    ),
    Planted(
        "a create that wrote nothing speaks for the attempt before it",
        "crmsync.daemon.cycle.apply",
        "open_ or (self.repeated and isinstance(self.outcome, Stale))",
        "open_",
        (
            "tests/daemon/cycle/test_interrupted_creates.py"
            "::test_an_edit_after_a_create_that_nobody_heard_of_is_kept_when_the_next_attempt_wrote_nothing",
        ),
    ),
    Planted(
        "what a restored CRM shows is an edit",
        "crmsync.daemon.cycle.linked",
        " or record_is_older(cx, work)",
        "",
        ("tests/daemon/losses/test_restored_crm.py::test_it_takes_nothing_back_from_the_mailbox_in_silence",),
    ),
    # ── What is the organiser's ──────────────────────────────────────────────────────────────────────────────
    Planted(
        "the CRM's edit goes into the copy of somebody else's meeting",
        "crmsync.daemon.cycle.meetings",
        "    closed = standing.writable & OF_THE_MEETING",
        "    closed = standing.writable & frozenset()",
        (f"{ATTENDEES}an_edit_of_somebody_elses_meeting_is_held_in_words",),
    ),
    Planted(
        "every copy of a meeting speaks for it",
        "crmsync.daemon.cycle.meetings",
        "    if copy.mute:",
        "    if False:",
        ("tests/daemon/cycle/test_copies.py::test_an_attendees_copy_moves_nothing",),
    ),
    Planted(
        "the server tells whoever was added in the CRM",
        "crmsync.connectors.dav.audience",
        "        return self._flavour.muted(before, after) if self.silently else after",
        "        return after",
        (f"{ATTENDEES}who_is_added_in_the_crm_is_added_to_the_calendar_and_not_told",),
    ),
    Planted(
        "the files of what is masked leave the calendar",
        "crmsync.daemon.account",
        ", attachments=())",
        ")",
        ("tests/daemon/cycle/test_event_files.py::test_a_masked_event_has_no_files",),
    ),
)
