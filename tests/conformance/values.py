"""Columns both ways: ``project`` foretells what a write leaves behind, and a write touches nothing it did not name."""

from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crmsync.connectors.columns import COLUMNS, Type, with_group
from crmsync.connectors.contract import Columns, Create, Done, Outcome, Refused, Update
from crmsync.daemon.plan.members import people
from crmsync.daemon.plan.normalise import same, tidy
from tests.conformance import sample
from tests.conformance.bench import Bench

# One collection serves all examples: each makes items of its own. And one method serves all connectors: an example
# that one server failed on says nothing about another, so none is remembered.
_modest = settings(
    max_examples=15,
    deadline=None,
    database=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
    ],
)

_serial = count()
SHORT = 20  # characters of one line, which every server must take


_MOVES_A_REMINDER = {"start", "end", "all_day", "time_zone", "due"}


class Values:
    @_modest
    @given(data=st.data())
    def test_project_foretells_what_a_create_leaves(self, bench: Bench, data: st.DataObject) -> None:
        drawn = data.draw(st.lists(sample.any_columns(bench.kind, bench.written), min_size=1, max_size=6))
        creates = [bench.create(_fresh(), **columns) for columns in drawn]
        for create, outcome in zip(creates, bench.connector.apply(creates), strict=True):
            if _accepted(outcome, create):
                _stands(bench, outcome.id, create.columns)

    @_modest
    @given(data=st.data())
    def test_project_foretells_what_an_update_leaves(self, bench: Bench, data: st.DataObject) -> None:
        bench.connector.project(
            bench.kind, {}
        )  # some connectors know what they can write once they have asked
        any_columns = sample.any_columns(bench.kind, bench.written)
        before = bench.made(_fresh(), **data.draw(any_columns.filter(_is_short), label="before"))
        change = data.draw(sample.any_columns(bench.kind, bench.changed), label="change")
        update = Update(before.id, before.version, bench.kind, change)
        (outcome,) = bench.connector.apply([update])
        if not _accepted(outcome, update):
            assert bench.record(before.id) == before
            return
        after = _stands(bench, before.id, change)
        others = bench.written - with_group(bench.kind, frozenset(change))
        if change.keys() & _MOVES_A_REMINDER:  # which may stand as so long before the start
            others -= {"reminder"}
        assert _only(after, others) == _only(before.columns, others)

    @_modest
    @given(data=st.data())
    def test_project_is_idempotent_and_keeps_to_what_is_held(self, bench: Bench, data: st.DataObject) -> None:
        everything = frozenset(COLUMNS[bench.kind])
        columns = data.draw(sample.any_columns(bench.kind, everything))
        connector, kind = bench.connector, bench.kind
        once = connector.project(kind, columns)
        assert once.keys() <= connector.capabilities.columns[kind]
        assert connector.project(kind, once) == once

    def test_what_is_read_is_what_project_makes_of_it(self, bench: Bench) -> None:
        """Else an untouched item would differ from its own snapshot for ever."""
        by_us = bench.made("full", **sample.full(bench.kind, bench.written)).columns
        by_a_person = bench.record(bench.person.add("Hopper")).columns
        for columns in (by_us, by_a_person):
            shown = bench.connector.project(bench.kind, columns)
            assert not {n: (shown.get(n), v) for n, v in columns.items() if not same(shown.get(n), v)}

    def test_of_a_list_of_people_those_are_held_that_are_known(self, bench: Bench) -> None:
        partial = bench.connector.capabilities.partial.get(bench.kind, frozenset())
        assert partial <= {n for n, c in COLUMNS[bench.kind].items() if c.each}
        for name in partial & bench.written:
            record = bench.made("full", **{name: ("nobody@nowhere.example.com",)})
            assert record.columns[name] is None

    def test_every_column_that_is_held_comes_back(self, bench: Bench) -> None:
        """``project`` may shorten and round, but a plain value of a held column must not vanish."""
        columns = sample.full(bench.kind, bench.written)
        record = bench.made("full", **columns)
        known = bench.connector.capabilities.partial.get(bench.kind, frozenset())
        given = {n: v for n, v in columns.items() if n not in (bench.title, *known) and v is not None}
        assert given.keys() - {n for n, v in record.columns.items() if v is not None} == set()
        assert _only(record.columns, frozenset(given)) == bench.connector.project(bench.kind, given)

    def test_what_was_not_written_is_known_to_be_empty(self, bench: Bench) -> None:
        record = bench.made("bare")
        texts = _emptied(bench)
        assert {n for n in texts if n not in record.columns or record.columns[n] is not None} == set()

    def test_none_empties_one_column_and_no_other(self, bench: Bench) -> None:
        record = bench.made("full", **sample.full(bench.kind, bench.written))
        for name in sorted(_emptied(bench)):
            bench.done(Update(record.id, record.version, bench.kind, {name: None}))
            before, record = record, bench.record(record.id)
            assert record.columns[name] is None
            assert {n: v for n, v in record.columns.items() if n != name} == {
                n: v for n, v in before.columns.items() if n != name
            }

    def test_all_columns_are_emptied_at_once_and_filled_again(self, bench: Bench) -> None:
        columns = sample.full(bench.kind, bench.written)
        full = bench.made("full", **columns)
        texts = _emptied(bench)
        bench.done(Update(full.id, full.version, bench.kind, dict.fromkeys(texts)))
        empty = bench.record(full.id)
        assert {n: v for n, v in empty.columns.items() if n in texts and v is not None} == {}
        bench.done(Update(full.id, empty.version, bench.kind, _only(columns, texts)))
        assert bench.record(full.id).columns == full.columns

    def test_an_update_to_the_same_values_changes_no_value(self, bench: Bench) -> None:
        before = bench.made("full", **sample.full(bench.kind, bench.written))
        bench.done(Update(before.id, before.version, bench.kind, _only(before.columns, bench.changed)))
        assert bench.record(before.id).columns == before.columns

    def test_an_update_without_columns_is_done(self, bench: Bench) -> None:
        before = bench.made("same")
        bench.done(Update(before.id, before.version, bench.kind, {}))
        assert bench.record(before.id).columns == before.columns

    @pytest.mark.parametrize("long", [False, True], ids=["one line", "long"])
    def test_hostile_text_comes_back_as_foretold(self, bench: Bench, long: bool) -> None:
        made = bench.made("hostile")
        names = sample.NAMES - {bench.title}
        columns = sorted(_texts(bench, Type.LONG if long else Type.TEXT) - names)
        values = sample.HOSTILE_LONG if long else sample.HOSTILE
        if not columns:
            return
        for n, value in enumerate(values):
            name = columns[n % len(columns)]
            update = Update(made.id, made.version, bench.kind, {name: value})
            (outcome,) = bench.connector.apply([update])
            before, made = made, bench.record(made.id)
            shown = bench.connector.project(bench.kind, {name: value})
            if not _accepted(outcome, update) or name not in shown:
                assert same(made.columns[name], before.columns[name]), (name, value)
                continue
            assert same(made.columns[name], shown[name]), (name, value)
            assert tidy(made.columns[name]) is not None, (name, value)

    @pytest.mark.parametrize("value", sample.UNSTORABLE, ids=["nul", "bell", "surrogate", "nonchar"])
    def test_what_cannot_be_stored_is_refused_or_stripped(self, bench: Bench, value: str) -> None:
        before = bench.made("victim")
        neighbour = bench.create("neighbour")
        write = Update(before.id, before.version, bench.kind, {bench.title: value})
        outcome, other = bench.connector.apply([write, neighbour])
        assert isinstance(other, Done)
        after = bench.record(before.id)
        match outcome:
            case Refused():
                assert after.columns == before.columns
            case _:
                assert isinstance(outcome, Done)
                shown = bench.connector.project(bench.kind, {bench.title: value})
                assert same(after.columns[bench.title], shown[bench.title])


def _accepted(outcome: Outcome, write: Create | Update) -> bool:
    """A server may refuse what is too long for it, and nothing else that it can hold."""
    if isinstance(outcome, Refused):
        lengths = [len(v) for v in write.columns.values() if isinstance(v, str)]
        assert max(lengths, default=0) > SHORT, (outcome, write)
        return False
    assert isinstance(outcome, Done), (outcome, write)
    return True


def _is_short(columns: Columns) -> bool:
    return all(len(v) <= SHORT for v in columns.values() if isinstance(v, str))


def _stands(bench: Bench, id: str, written: Columns) -> Columns:
    """What ``project`` said of the written columns is what is read now; the columns that are read."""
    columns = bench.record(id).columns
    shown = bench.connector.project(bench.kind, written)
    partial = bench.connector.capabilities.partial.get(bench.kind, frozenset())
    wrong = {
        n: (columns.get(n, "absent"), v)
        for n, v in shown.items()
        if not (
            people(columns.get(n)).items() <= people(v).items() if n in partial else same(columns.get(n), v)
        )
    }
    assert not wrong, "column: (read back, foretold)"
    assert shown.keys() <= columns.keys()
    return columns


def _texts(bench: Bench, *types: Type) -> frozenset[str]:
    """Columns of free text of these types."""
    known = COLUMNS[bench.kind]
    words = {*sample.WORDS, "status", "time_zone"}
    return frozenset(n for n in bench.changed if known[n].type in types and n not in words)


def _emptied(bench: Bench) -> frozenset[str]:
    """Columns that any item can do without, whatever its kind."""
    types = (Type.TEXT, Type.LONG, Type.EMAIL, Type.PHONE, Type.URL, Type.DATE)
    return _texts(bench, *types) - sample.LEAST[bench.kind].keys() - {bench.title} - sample.NAMES


def _only(columns: Columns, names: frozenset[str]) -> Columns:
    return {n: v for n, v in columns.items() if n in names}


def _fresh() -> str:
    """A key that no other example has used: hypothesis itself would draw the same one again."""
    return f"key-{next(_serial)}"
