"""The copy of a CRM, with the CRM away: all that can be asked of it alone."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crmsync.connectors.abilities import Access
from crmsync.connectors.contract import Delete, Done, Kind, Page, Record, Side, Stale, Update
from crmsync.connectors.errors import Unreachable
from crmsync.connectors.http import Http
from crmsync.connectors.salesforce.auth import Password
from crmsync.connectors.salesforce.connector import SalesforceSource
from crmsync.connectors.salesforce.tables import DEFAULT_FIELDS
from crmsync.daemon.app import LazySource
from crmsync.daemon.replica.beside import beside_replica
from crmsync.daemon.replica.keeper import Keeper, Settings
from crmsync.state.replica.ids import new_id
from tests.conformance import sample
from tests.conformance.bench import EVERYTHING, Bench
from tests.conformance.copy_bench import Alone, CopyBench, Line
from tests.conformance.suite import WithoutTelling
from tests.conformance.test_salesforce import CrmPerson, emptied, long_ago
from tests.conformance.values import Values
from tests.servers.embedded_crm import EmbeddedCrm

KIND, KEY = Kind.CONTACT, "Crmsync_Id__c"


def _fewer(test: Any) -> Any:
    """The same, of few examples."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors, HealthCheck.too_slow]
    few = settings(max_examples=3, deadline=None, database=None, suppress_health_check=checks)
    return few(given(data=st.data())(test.hypothesis.inner_test))


class Passer(CrmPerson):
    """What somebody does in the CRM is not in its copy before the next pass."""

    def __init__(self, crm: EmbeddedCrm, kind: Kind, alone: Alone) -> None:
        super().__init__(crm, kind)
        self.alone = alone

    def add(self, title: str) -> str:
        self.alone.behind = True
        return super().add(title)

    def retitle(self, id: str, title: str) -> None:
        self.alone.behind = True
        super().retitle(id, title)

    def delete(self, id: str) -> None:
        self.alone.behind = True
        super().delete(id)


@pytest.fixture(scope="module")
def alone(crm: EmbeddedCrm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    auth = Password(crm.client_id, crm.client_secret, crm.sync.username, crm.sync.password)
    fields, line = {KIND: DEFAULT_FIELDS[KIND]}, Line(Http(crm.url, timeout=30))
    live = SalesforceSource(crm.url, auth=auth, fields=fields, external_id=KEY, transport=line)
    lazy = LazySource(Side.CRM, lambda: live)
    file, chosen = tmp_path_factory.mktemp("copy") / "replica.db", Settings(("Account", "Contact"))
    keeper = Keeper("main", file, chosen, lazy.replication, durable=False)
    source = beside_replica(lazy, lazy.salesforce, keeper, fields, KEY, crm.crm.clock)
    made = Alone(source, line, keeper)
    made.fill()
    yield made
    source.close()
    keeper.close()


def forgotten(alone: Alone) -> None:
    """As if the copy had just been made."""
    with alone.keeper.database.write() as work:
        told = (work.shared.schemas, work.shared.properties)
        for table in work.shared.properties.metadata.sorted_tables:
            if table not in told:
                work.connection.execute(table.delete())


@pytest.mark.server
class TestTheCopyAlone(WithoutTelling):
    @pytest.fixture
    def bench(self, crm: EmbeddedCrm, alone: Alone) -> Bench:
        emptied(crm, KIND)
        forgotten(alone)
        (collection,) = alone.source.collections()
        unknown, person = new_id("003", 62**9), Passer(crm, KIND, alone)
        return CopyBench(KIND, alone, collection, person, long_ago, unknown, crm.alice.id, alone=alone)

    # each example takes the CRM away and back
    test_project_foretells_what_a_create_leaves = _fewer(Values.test_project_foretells_what_a_create_leaves)
    test_project_foretells_what_an_update_leaves = _fewer(Values.test_project_foretells_what_an_update_leaves)

    # ── What it does not have is neither there nor gone ──────────────────────────────────────────────────────

    def test_fetch_answers_for_each_id(self, bench: CopyBench) -> None:
        """Or for none of them: absence is for the CRM to tell."""
        present, deleted = bench.person.add("Present"), bench.person.add("Deleted")
        bench.person.delete(deleted)
        assert isinstance(bench.fetch(present), Record)
        for lacked in (deleted, bench.unknown):
            with pytest.raises(Unreachable, match="does not have"):
                list(bench.connector.fetch([present, lacked]))
        away = bench.alone.away(bench.collection)
        assert away.here([present, deleted, bench.unknown]) == {present}

    def test_an_owner_has_all_rights_and_nobody_has_any_on_what_is_not_there(self, bench: CopyBench) -> None:
        """As the CRM has told them; of others nothing is known."""
        made = bench.made("mine")
        bench.alone.there(bench.collection).access(bench.owner, [made.id])
        away = bench.alone.away(bench.collection)
        assert away.access(bench.owner, [made.id]) == {made.id: Access(read=True, edit=True, delete=True)}
        with pytest.raises(Unreachable, match="whose"):
            away.access(bench.owner, [made.id, bench.unknown])

    def test_a_delete_with_the_right_version_deletes(self, bench: CopyBench) -> None:
        kept, doomed = bench.made("Kept"), bench.made("Doomed")
        (done,) = bench.done(Delete(doomed.id, doomed.version))
        assert done.id == doomed.id
        assert bench.listing().keys() == {kept.id}
        with pytest.raises(Unreachable, match="does not have"):
            bench.fetch(doomed.id)

    def test_a_repeated_delete_is_done(self, bench: CopyBench) -> None:
        """While it waits; of what the CRM has deleted the copy knows nothing."""
        doomed = bench.made("Doomed")
        delete = Delete(doomed.id, doomed.version)
        away = bench.alone.away(bench.collection)
        for _ in range(2):
            assert list(away.apply([delete])) == [Done(doomed.id, "", provisional=True)]
        bench.alone.fill()
        assert list(bench.alone.away(bench.collection).apply([delete])) == [Stale(doomed.id)]

    def test_a_selection_narrows_the_first_listing_at_most(self, bench: CopyBench) -> None:
        """It has none, and tells nothing; a cursor stays where it is."""
        made, cursor = bench.made("selected"), bench.start()
        bench.person.retitle(made.id, "edited")
        bench.alone.fill()
        away = bench.alone.away(bench.collection)
        with pytest.raises(Unreachable, match="new to it"):
            list(away.changes(None, EVERYTHING))
        with pytest.raises(Unreachable, match="what there is"):
            list(away.listing())
        assert list(away.changes(cursor, EVERYTHING)) == [Page((), cursor)]

    # ── And beside the suite ─────────────────────────────────────────────────────────────────────────────────

    def test_it_shows_a_record_as_the_crm_does(self, bench: CopyBench) -> None:
        made = bench.made("full", **sample.full(KIND, bench.written))
        (told,) = bench.alone.there(bench.collection).fetch([made.id])
        assert made == told

    def test_what_it_has_taken_it_does_not_show_as_the_crms(self, bench: CopyBench) -> None:
        before = bench.made("Hopper")
        away = bench.alone.away(bench.collection)
        (kept,) = away.apply([Update(before.id, before.version, KIND, {bench.title: "Lovelace"})])
        assert kept == Done(before.id, "", provisional=True)
        assert list(away.fetch([before.id])) == [before]
