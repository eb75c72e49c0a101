"""fetch: an answer for each, and nothing concluded without proof."""

from crmsync.connectors.abilities import Glancing
from crmsync.connectors.contract import Gone, Hidden, Record
from tests.conformance.bench import Bench


class Reading:
    def test_fetch_answers_for_each_id(self, bench: Bench) -> None:
        present, deleted = bench.person.add("Present"), bench.person.add("Deleted")
        bench.person.delete(deleted)
        answers = {a.id: a for a in bench.connector.fetch([deleted, present, bench.unknown])}
        assert set(answers) == {present, deleted, bench.unknown}
        assert isinstance(answers[present], Record)
        assert isinstance(answers[deleted], Gone | Hidden)
        assert isinstance(answers[bench.unknown], Gone | Hidden)

    def test_fetch_of_nothing_asks_nothing(self, bench: Bench) -> None:
        before = bench.source.requests()
        assert list(bench.connector.fetch([])) == []
        assert bench.source.requests() == before

    def test_a_record_says_what_it_is(self, bench: Bench) -> None:
        record = bench.record(bench.person.add("Lovelace"))
        assert record.kind is bench.kind
        assert record.columns[bench.title] == "Lovelace"
        assert record.columns.keys() <= bench.can.columns[bench.kind]
        assert record.modified is None or record.modified.tzinfo is not None
        assert record.uid or not bench.can.stamps, "a stamp needs the item's own identity"

    def test_a_glance_shows_what_a_fetch_does_without_what_cannot_change(self, bench: Bench) -> None:
        there, gone = bench.person.add("There"), bench.person.add("Gone")
        bench.start()
        bench.person.delete(gone)
        connector = bench.connector
        if isinstance(connector, Glancing):
            glance, missing = connector.glance([there, gone])
            whole, same = connector.fetch([there, gone])
            assert isinstance(glance, Record)
            assert isinstance(whole, Record)
            fixed = connector.capabilities.read_only_columns[whole.kind]
            assert glance.columns == {n: v for n, v in whole.columns.items() if n not in fixed}
            assert (glance.version, glance.tags, glance.uid) == (whole.version, whole.tags, whole.uid)
            assert missing == same
