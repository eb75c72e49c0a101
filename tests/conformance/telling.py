"""changes, listing: nothing missed, nothing twice, nothing concluded without proof."""

import pytest

from crmsync.connectors.contract import Gone, Record, Ref
from crmsync.connectors.errors import CursorExpired
from tests.conformance.bench import EVERYTHING, Bench, ids


class Telling:
    # ── changes ──────────────────────────────────────────────────────────────────────────────────────────────

    def test_an_empty_collection_has_no_items_but_a_cursor(self, bench: Bench) -> None:
        items, cursor = bench.changes(None)
        assert items == []
        assert bench.changes(cursor)[0] == []

    def test_changes_without_a_cursor_tell_everything_once(self, bench: Bench) -> None:
        made = sorted(bench.person.add(f"Person {n}") for n in range(5))
        items, _ = bench.changes(None)
        assert ids(items) == made
        assert not any(isinstance(item, Gone) for item in items)

    def test_changes_name_the_version_that_fetch_finds(self, bench: Bench) -> None:
        bench.person.add("Lovelace")
        (item,), _ = bench.changes(None)
        assert isinstance(item, Record | Ref)
        assert item.version == bench.record(item.id).version != ""

    def test_nothing_changed_is_no_item_and_few_requests(self, bench: Bench) -> None:
        bench.person.add("Lovelace")
        cursor = bench.start()
        items, again = bench.changes(cursor)
        assert items == []
        before = bench.source.requests()
        assert bench.changes(again)[0] == []
        assert bench.source.requests() - before <= 2

    def test_a_new_item_appears_once(self, bench: Bench) -> None:
        old = bench.person.add("Old")
        cursor = bench.start()
        new = bench.person.add("New")
        self._appears_once(bench, cursor, new, bystander=old)

    def test_an_edited_item_appears_once(self, bench: Bench) -> None:
        edited, bystander = bench.person.add("Before"), bench.person.add("Bystander")
        cursor = bench.start()
        bench.person.retitle(edited, "After")
        self._appears_once(bench, cursor, edited, bystander)
        assert bench.record(edited).columns[bench.title] == "After"

    def test_an_item_edited_twice_between_two_looks_appears_once(self, bench: Bench) -> None:
        edited, bystander = bench.person.add("Before"), bench.person.add("Bystander")
        cursor = bench.start()
        bench.person.retitle(edited, "Between")
        bench.person.retitle(edited, "After")
        self._appears_once(bench, cursor, edited, bystander)

    def test_edits_one_after_the_other_are_each_seen(self, bench: Bench) -> None:
        edited = bench.person.add("Edit 0")
        cursor = bench.start()
        for n in range(1, 4):
            bench.person.retitle(edited, f"Edit {n}")
            items, cursor = bench.changes(cursor)
            assert ids(items) == [edited]
            assert bench.record(edited).columns[bench.title] == f"Edit {n}"

    def test_a_deleted_item_is_gone_once_or_missing_from_the_listing(self, bench: Bench) -> None:
        deleted, bystander = bench.person.add("Deleted"), bench.person.add("Bystander")
        cursor = bench.start()
        bench.person.delete(deleted)
        items, after = bench.changes(cursor)
        if bench.can.tombstones:
            assert [i.id for i in items if isinstance(i, Gone)] == [deleted]
        assert not any(i.id == deleted for i in items if not isinstance(i, Gone))
        assert bench.changes(after)[0] == []
        assert set(bench.listing()) == {bystander}

    def test_an_item_made_and_deleted_between_two_looks_is_not_told_as_there(self, bench: Bench) -> None:
        cursor = bench.start()
        passing = bench.person.add("Passing")
        bench.person.delete(passing)
        items, _ = bench.changes(cursor)
        assert all(isinstance(i, Gone) for i in items)

    def test_own_writes_come_back_as_what_was_done(self, bench: Bench) -> None:
        """Dropping the echo is the engine's: it needs the version, and must never see a Gone."""
        cursor = bench.start()
        (done,) = bench.done(bench.create("own"))
        items, _ = bench.changes(cursor)
        assert not any(isinstance(i, Gone) for i in items)
        assert set(ids(items)) <= {done.id}
        standing = bench.record(done.id)
        told = {i.version for i in items if not isinstance(i, Gone)}
        assert not done.version or standing.version == done.version or standing.version in told
        assert done.record is None or done.record.columns == standing.columns

    def test_a_cursor_can_be_used_twice(self, bench: Bench) -> None:
        """A process that died before it could store the next one asks again."""
        cursor = bench.start()
        new = bench.person.add("New")
        assert new in ids(bench.changes(cursor)[0])
        assert new in ids(bench.changes(cursor)[0])

    def test_an_expired_cursor_says_so(self, bench: Bench) -> None:
        bench.person.add("Lovelace")
        cursor = bench.expire(bench.start())
        if not bench.can.incremental:
            return  # there is nothing to expire: whatever the cursor says, everything is compared
        with pytest.raises(CursorExpired):
            bench.changes(cursor)

    @pytest.mark.parametrize("cursor", ["", "nonsense", "7", "{}", "[1]", "https://example.com/ns/sync/1"])
    def test_what_is_not_a_cursor_of_ours_has_expired(self, bench: Bench, cursor: str) -> None:
        with pytest.raises(CursorExpired):
            bench.changes(cursor)

    def _appears_once(self, bench: Bench, cursor: str, id: str, bystander: str) -> None:
        items, after = bench.changes(cursor)
        assert [i.id for i in items if isinstance(i, Gone)] == []
        assert ids(items).count(id) == 1
        if bench.can.incremental:
            assert bystander not in ids(items)
        assert bench.changes(after)[0] == []

    # ── listing ──────────────────────────────────────────────────────────────────────────────────────────────

    def test_the_listing_is_complete_and_names_versions(self, bench: Bench) -> None:
        made = [bench.person.add(f"Person {n}") for n in range(3)]
        listed = bench.listing()
        assert set(listed) == set(made)
        assert all(listed[id] == bench.record(id).version for id in made)

    def test_the_listing_of_an_empty_collection_is_empty(self, bench: Bench) -> None:
        assert bench.listing() == {}

    def test_a_deleted_item_is_proven_gone_to_who_saw_it(self, bench: Bench) -> None:
        """``changes`` or ``fetch`` has to give the proof; without one, no delete would ever travel."""
        deleted = bench.person.add("Deleted")
        cursor = bench.start()
        bench.person.delete(deleted)
        told, _ = bench.changes(cursor)
        assert any(isinstance(i, Gone) for i in [*told, bench.fetch(deleted)])

    def test_reading_changes_nothing(self, bench: Bench) -> None:
        id = bench.person.add("Lovelace")
        assert bench.record(id) == bench.record(id)
        cursor = bench.start()
        list(bench.connector.changes(None, EVERYTHING))
        bench.listing()
        assert bench.changes(cursor)[0] == []
