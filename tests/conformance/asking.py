"""What else a source and its connectors can be asked, as far as their capabilities say that they can."""

from datetime import timedelta

from crmsync.connectors.abilities import Directory, Naming, Probe, Restricting, Searchable, Selecting
from crmsync.connectors.contract import Kind, Selection, Side
from tests.conformance.bench import Bench


class Asking:
    # ── the source ───────────────────────────────────────────────────────────────────────────────────────────

    def test_the_source_offers_the_collection(self, bench: Bench) -> None:
        offered = {c.id: c for c in bench.source.collections()}
        assert bench.collection.id in offered
        assert bench.kind in offered[bench.collection.id].kinds

    def test_the_source_says_who_it_is(self, bench: Bench) -> None:
        assert bench.source.identity()
        assert bench.source.identity() == bench.source.identity()

    def test_opening_a_collection_asks_nothing(self, bench: Bench) -> None:
        before = bench.source.requests()
        bench.source.open(bench.collection)
        assert bench.source.requests() == before

    def test_requests_are_counted(self, bench: Bench) -> None:
        before = bench.source.requests()
        bench.listing()
        assert bench.source.requests() > before

    def test_the_clock_of_a_server_on_this_machine_is_ours(self, bench: Bench) -> None:
        bench.listing()
        assert abs(bench.source.clock_offset()) < timedelta(seconds=5)

    def test_only_a_crm_has_a_directory_links_and_rights(self, bench: Bench) -> None:
        ecs = bench.source.side is Side.ECS
        assert ecs or isinstance(bench.source, Directory)
        assert not (ecs and (bench.can.links or bench.can.access))
        assert not (bench.can.stamps and bench.can.links)

    def test_capabilities_agree_with_themselves(self, bench: Bench) -> None:
        can = bench.can
        assert bench.kind in can.columns
        assert all(can.read_only_columns.get(k, frozenset()) <= held for k, held in can.columns.items())
        assert can.writable
        assert can.batch > 0
        assert not can.searchable or isinstance(bench.connector, Searchable)
        assert not can.access or isinstance(bench.connector, Restricting)

    # ── search ───────────────────────────────────────────────────────────────────────────────────────────────

    def test_search_finds_by_address_and_number_whatever_their_spelling(self, bench: Bench) -> None:
        if not bench.can.searchable or bench.kind is not Kind.CONTACT:
            return
        made = bench.made("wanted", email="Ada@Example.com", phone_mobile="+49 171 1234567")
        bench.made("other", email="bob@example.com", phone_mobile="+49 171 7654321")
        assert isinstance(bench.connector, Searchable)
        probes = [
            Probe(emails=("ada@example.COM",)),
            Probe(emails=("nobody@example.com", "ada@example.com")),
            Probe(phones=("+491711234567",)),
        ]
        for probe in probes:
            assert [r.id for r in bench.connector.search(bench.kind, [probe])] == [made.id], probe
        assert [r.id for r in bench.connector.search(bench.kind, probes)] == [made.id]
        assert list(bench.connector.search(bench.kind, [Probe(emails=("a'b\\%_@example.com",))])) == []

    def test_search_finds_by_columns(self, bench: Bench) -> None:
        if not bench.can.searchable or bench.kind is Kind.CONTACT:
            return
        made = bench.made("wanted")
        bench.made("other")
        assert isinstance(bench.connector, Searchable)
        columns = {n: made.columns[n] for n in ("subject", "start") if n in bench.columns()}
        assert [r.id for r in bench.connector.search(bench.kind, [Probe(columns=columns)])] == [made.id]

    # ── other names ──────────────────────────────────────────────────────────────────────────────────────────

    def test_an_item_is_found_by_its_other_names(self, bench: Bench) -> None:
        if not isinstance(bench.connector, Naming):
            return
        made = bench.made("called")
        bench.made("other")
        assert bench.connector.named(made.uid or made.id) == made.id
        assert bench.connector.named("nobody's") is None

    # ── rights and selections ────────────────────────────────────────────────────────────────────────────────

    def test_an_owner_has_all_rights_and_nobody_has_any_on_what_is_not_there(self, bench: Bench) -> None:
        if not bench.can.access:
            return
        made = bench.made("mine")
        assert isinstance(bench.connector, Restricting)
        rights = bench.connector.access(bench.owner, [made.id, bench.unknown])
        assert set(rights) == {made.id}
        assert rights[made.id].read
        assert rights[made.id].edit
        assert rights[made.id].delete

    def test_a_selection_by_owner(self, bench: Bench) -> None:
        if not isinstance(bench.connector, Selecting) or not bench.can.owned:
            return
        made = bench.made("mine")
        assert made.owner == bench.owner
        chosen = bench.connector.selected([made.id, bench.unknown], Selection(owner=bench.owner))
        assert chosen == {made.id}

    def test_a_selection_narrows_the_first_listing_at_most(self, bench: Bench) -> None:
        """Whatever is selected is in it, and later changes are told also of what is not selected."""
        made = bench.made("selected")
        selection = Selection(owner=bench.owner if bench.can.owned else "")
        pages = list(bench.connector.changes(None, selection))
        assert made.id in {i.id for p in pages for i in p.items}
        bench.person.retitle(made.id, "edited")
        unselected = Selection(tag="No such tag") if bench.can.tags else Selection(owner=bench.unknown)
        told = [i.id for p in bench.connector.changes(pages[-1].cursor, unselected) for i in p.items]
        assert made.id in told
