"""apply: repeatable creates, conditional updates and deletes, in order, in batches, touching nothing else."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from crmsync.connectors.contract import (
    Create,
    Delete,
    Done,
    Gone,
    Hidden,
    Record,
    Stale,
    Stamp,
    Update,
)
from tests.conformance.bench import Bench, ids


class Writing:
    # ── create ───────────────────────────────────────────────────────────────────────────────────────────────

    def test_a_created_item_stands(self, bench: Bench) -> None:
        (done,) = bench.done(bench.create("Hopper"))
        assert bench.listing().keys() == {done.id}
        assert bench.record(done.id).columns[bench.title] == "Hopper"

    def test_a_repeated_create_makes_no_second_item(self, bench: Bench) -> None:
        """The answer to the first was lost: same key, same item, whoever repeats it."""
        began = bench.made("Clock").modified
        create = replace(bench.create("Hopper"), since=began)
        (first,) = bench.done(create)
        (again,) = bench.done(create)
        (reopened,) = bench.source.open(bench.collection).apply([create])
        assert isinstance(reopened, Done)
        assert first.id == again.id == reopened.id
        assert (first.found, again.found, reopened.found) == (False, True, True)
        assert len(bench.listing()) == 2

    def test_a_create_repeated_after_a_person_edited_leaves_the_edit_alone(self, bench: Bench) -> None:
        if not (bench.can.stamps or bench.can.links):
            return  # without a key on the server the item can only be told by its columns
        create = bench.create("Hopper")
        (first,) = bench.done(create)
        bench.person.retitle(first.id, "Murray Hopper")
        bench.done(create)
        assert bench.record(first.id).columns[bench.title] == "Murray Hopper"

    def test_different_keys_make_different_items(self, bench: Bench) -> None:
        one, other = bench.create("one"), bench.create("other")
        bench.done(one, replace(other, columns=one.columns))
        assert len(bench.listing()) == 2

    def test_keys_with_unusual_characters(self, bench: Bench) -> None:
        keys = ["0f9c-4c1e", "urn:uuid:1b2e", "a@b.example.com", "A%2FB", "UPPER", "x" * 36]
        began = bench.made("Clock").modified
        creates = [replace(bench.create(key), since=began) for key in keys]
        made = [done.id for done in bench.done(*creates)]
        assert len(set(made)) == len(keys) == len(bench.listing()) - 1
        assert [done.id for done in bench.done(*creates)] == made

    def test_who_says_so_writes_in_one_thread_and_reads_in_another(self, bench: Bench) -> None:
        """``Capabilities.concurrent``: what is read beside a write is whole, and each write has its own outcome."""
        if not bench.can.concurrent:
            return
        rest = [done.id for done in bench.done(*(bench.create(f"still {n}") for n in range(30)))]
        for_stamps = [done.id for done in bench.done(*(bench.create(f"stamped {n}") for n in range(30)))]
        connector = bench.connector
        found = {r.id: r for r in connector.fetch(for_stamps) if isinstance(r, Record)}
        stamp = Stamp("crm", "003000000000001", "", 1, "mac")
        writes = [
            Update(i, r.version, bench.kind, {}, stamp=replace(stamp, uid=r.uid)) for i, r in found.items()
        ]
        with ThreadPoolExecutor(1) as other:
            under_way = other.submit(lambda: list(connector.apply(writes)))
            looks = 0
            while not under_way.done() or not looks:
                assert {r.id for r in connector.fetch(rest) if isinstance(r, Record)} == set(rest)
                looks += 1
        assert [type(outcome) for outcome in under_way.result()] == [Done] * 30
        stamped = [r for r in connector.fetch(for_stamps) if isinstance(r, Record)]
        assert {r.stamp.record for r in stamped if r.stamp} == {stamp.record}
        assert len(stamped) == 30

    # ── update ───────────────────────────────────────────────────────────────────────────────────────────────

    def test_an_update_gives_a_new_version(self, bench: Bench) -> None:
        before = bench.made("Hopper")
        (done,) = bench.done(Update(before.id, before.version, bench.kind, {bench.title: "Lovelace"}))
        after = bench.record(before.id)
        assert after.columns[bench.title] == "Lovelace"
        assert after.version != before.version
        assert done.version in ("", after.version)
        assert done.id == before.id

    def test_updates_follow_one_another_by_the_version_of_the_last(self, bench: Bench) -> None:
        record = bench.made("Hopper")
        for n in range(3):
            bench.done(Update(record.id, record.version, bench.kind, {bench.title: f"Edit {n}"}))
            record = bench.record(record.id)
        assert record.columns[bench.title] == "Edit 2"

    def test_an_update_of_another_version_is_stale_and_writes_nothing(self, bench: Bench) -> None:
        before = bench.made("Hopper")
        bench.person.retitle(before.id, "Murray Hopper")
        now = bench.record(before.id)
        write = Update(before.id, before.version, bench.kind, {bench.title: "Lovelace"})
        assert list(bench.connector.apply([write])) == [Stale(before.id)]
        assert bench.record(before.id) == now

    def test_an_update_of_a_deleted_item_is_stale_and_makes_none(self, bench: Bench) -> None:
        before = bench.made("Hopper")
        bench.person.delete(before.id)
        write = Update(before.id, before.version, bench.kind, {bench.title: "Lovelace"})
        assert list(bench.connector.apply([write])) == [Stale(before.id)]
        assert bench.listing() == {}

    def test_an_update_keeps_what_belongs_to_no_column(self, bench: Bench) -> None:
        id = bench.person.add("Hopper")
        before = bench.person.unmapped(id)
        assert before
        bench.done(Update(id, bench.record(id).version, bench.kind, {bench.title: "Lovelace"}))
        assert bench.person.unmapped(id) == before

    # ── delete ───────────────────────────────────────────────────────────────────────────────────────────────

    def test_a_delete_with_the_right_version_deletes(self, bench: Bench) -> None:
        kept, doomed = bench.made("Kept"), bench.made("Doomed")
        (done,) = bench.done(Delete(doomed.id, doomed.version))
        assert done.id == doomed.id
        assert bench.listing().keys() == {kept.id}
        assert isinstance(bench.fetch(doomed.id), Gone | Hidden)

    def test_a_delete_of_another_version_is_stale_and_deletes_nothing(self, bench: Bench) -> None:
        before = bench.made("Hopper")
        bench.person.retitle(before.id, "Murray Hopper")
        assert list(bench.connector.apply([Delete(before.id, before.version)])) == [Stale(before.id)]
        assert bench.record(before.id).columns[bench.title] == "Murray Hopper"

    def test_a_repeated_delete_is_done(self, bench: Bench) -> None:
        doomed = bench.made("Doomed")
        delete = Delete(doomed.id, doomed.version)
        bench.done(delete)
        bench.done(delete)

    def test_a_delete_of_what_a_person_deleted_is_done(self, bench: Bench) -> None:
        doomed = bench.made("Doomed")
        bench.person.delete(doomed.id)
        bench.done(Delete(doomed.id, doomed.version))

    def test_an_own_delete_is_never_an_item(self, bench: Bench) -> None:
        doomed = bench.made("Doomed")
        cursor = bench.start()
        bench.done(Delete(doomed.id, doomed.version))
        items, _ = bench.changes(cursor)
        assert all(isinstance(i, Gone) for i in items)

    # ── several ──────────────────────────────────────────────────────────────────────────────────────────────

    def test_no_writes_ask_nothing(self, bench: Bench) -> None:
        before = bench.source.requests()
        assert list(bench.connector.apply([])) == []
        assert bench.source.requests() == before

    def test_outcomes_come_in_the_order_of_the_writes(self, bench: Bench) -> None:
        a, b, c = (bench.made(key) for key in ("a", "b", "c"))
        bench.person.retitle(b.id, "b edited")
        writes = (
            bench.create("new 1"),
            Update(b.id, b.version, bench.kind, {bench.title: "too late"}),
            Delete(a.id, a.version),
            bench.create("new 2"),
            Update(c.id, c.version, bench.kind, {bench.title: "c updated"}),
            bench.create("a"),  # repeated: it was deleted just now, in this very batch
        )
        outcomes = list(bench.connector.apply(writes))
        assert [type(o) for o in outcomes] == [Done, Stale, Done, Done, Done, Done]
        assert [o.id for o in outcomes][1:3] == [b.id, a.id]
        assert outcomes[4].id == c.id
        first, second = (bench.record(outcomes[n].id) for n in (0, 3))
        assert [first.columns[bench.title], second.columns[bench.title]] == ["new 1", "new 2"]
        assert bench.record(b.id).columns[bench.title] == "b edited"
        assert bench.record(c.id).columns[bench.title] == "c updated"

    def test_more_than_a_batch(self, bench: Bench) -> None:
        count = bench.can.batch + 3
        made = bench.done(*(bench.create(f"n{n}") for n in range(count)))
        answers = list(bench.connector.fetch([d.id for d in made]))
        titles = {a.id: a.columns[bench.title] for a in answers if isinstance(a, Record)}
        assert len(answers) == count
        assert [titles[d.id] for d in made] == [f"n{n}" for n in range(count)]
        assert bench.listing().keys() == titles.keys()
        items, cursor = bench.changes(None)
        assert ids(items) == sorted(titles)
        assert bench.changes(cursor)[0] == []

    # ── what an item carries besides its columns ─────────────────────────────────────────────────────────────

    def test_a_tag_comes_back(self, bench: Bench) -> None:
        (done,) = bench.done(replace(bench.create("tagged"), tag="CRM" if bench.can.tags else ""))
        assert ("CRM" in bench.record(done.id).tags) == bench.can.tags

    def test_a_tag_is_added_to_what_stands(self, bench: Bench) -> None:
        if not bench.can.tags:
            return
        id = bench.person.add("Hopper")
        before = bench.record(id)
        bench.done(Update(id, before.version, bench.kind, {}, tag="CRM"))
        after = bench.record(id)
        assert after.tags == before.tags | {"CRM"}
        assert after.columns[bench.title] == "Hopper"

    def test_a_stamp_comes_back(self, bench: Bench) -> None:
        stamp = Stamp("00D000000000001EAA", "003000000000001AAA", "a b@c;,:%/ü", 7, "mac+/=")
        if not bench.can.stamps:
            assert bench.made("bare").stamp is None
            return
        (done,) = bench.done(replace(bench.create("stamped"), stamp=stamp))
        assert bench.record(done.id).stamp == stamp

    def test_a_stamp_carries_what_was_agreed_and_takes_it_along(self, bench: Bench) -> None:
        if not bench.can.remembers:
            return
        for length in (100, bench.can.remembers):
            stamp = Stamp("org", "record", "uid", 1, "mac", "<ü/>" + "x" * (length - 4))
            (done,) = bench.done(replace(bench.create(f"of {length}"), stamp=stamp))
            assert bench.record(done.id).stamp == stamp
            after = replace(stamp, generation=2, agreed="")
            version = bench.record(done.id).version
            bench.done(Update(done.id, version, bench.kind, {}, stamp=after))
            assert bench.record(done.id).stamp == after

    def test_a_stamp_replaces_the_one_before_and_nothing_else(self, bench: Bench) -> None:
        if not bench.can.stamps:
            return
        id = bench.person.add("Hopper")
        unmapped, columns = bench.person.unmapped(id), bench.record(id).columns
        for generation in (1, 2):
            record = bench.record(id)
            stamp = Stamp("org", "record", record.uid, generation, f"mac{generation}")
            bench.done(Update(id, record.version, bench.kind, {}, stamp=stamp))
            assert bench.record(id).stamp == stamp
        assert bench.record(id).columns == columns
        assert bench.person.unmapped(id) == unmapped

    def test_a_link_comes_back(self, bench: Bench) -> None:
        record = bench.made("linked")
        assert record.link == ("linked" if bench.can.links else "")
        if bench.can.links:
            bench.done(Update(record.id, record.version, bench.kind, {}, link="other"))
            assert bench.record(record.id).link == "other"

    def test_a_deleted_item_is_put_back_from_its_native_text(self, bench: Bench) -> None:
        """Undo: what a person had in it and we do not know returns as well."""
        id = bench.person.add("Hopper")
        before, unmapped = bench.record(id), bench.person.unmapped(id)
        if not before.native:
            return
        bench.done(Delete(id, before.version))
        back = Create(before.uid or "back", bench.kind, before.columns, native=before.native)
        (done,) = bench.done(back)
        after = bench.record(done.id)
        assert (after.columns, after.uid, after.tags) == (before.columns, before.uid, before.tags)
        assert bench.person.unmapped(done.id) == unmapped
