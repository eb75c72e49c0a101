"""apply: conditional and repeatable, on servers that keep the rules and on those that do not."""

import re

import pytest

from crmsync.connectors.contract import (
    Create,
    Deferred,
    Delete,
    Done,
    Kind,
    Record,
    Refused,
    Stale,
)
from crmsync.connectors.dav.writing import GROUP
from crmsync.connectors.errors import NotFound
from tests.connectors.dav.bench import Desk, answering, applied_but, card, create, rename, stamp
from tests.servers.quirky import Reply, Request


def fetched(at: Desk, id: str) -> Record:
    (record,) = at.fetch(id)
    assert isinstance(record, Record)
    return record


class TestCreate:
    def test_costs_one_request_and_two_a_group(self, at: Desk) -> None:
        outcomes = at.apply(*(create(f"k{n}") for n in range(GROUP)))
        assert all(isinstance(o, Done) and o.record for o in outcomes)
        assert at.asked() == GROUP + 2
        assert all(request.headers["If-None-Match"] == "*" for request in at.server.seen("PUT"))

    def test_stands_under_its_key(self, at: Desk) -> None:
        (done,) = at.apply(create("key-1"))
        assert isinstance(done, Done)
        assert (done.id, done.record and done.record.uid) == ("key-1.vcf", "key-1")
        assert done.version == at.server.items["key-1.vcf"][0]

    def test_repeated_it_writes_nothing_even_if_the_server_would(self, at: Desk) -> None:
        at.server.heeds_match = False
        at.apply(create("key-1"))
        at.server.set("key-1.vcf", card("key-1", "Edited by a person"))
        (done,) = at.apply(create("key-1"))
        assert isinstance(done, Done)
        assert done.record is not None
        assert done.record.columns["last_name"] == "Edited by a person"
        assert len(at.server.seen("PUT")) == 1

    def test_that_lost_its_answer_is_done(self, at: Desk) -> None:
        applied_but(at.server, "PUT", 500)
        (done,) = at.apply(create("key-1"))
        assert isinstance(done, Done)
        assert done.version == at.server.items["key-1.vcf"][0]

    def test_that_failed_is_deferred(self, at: Desk) -> None:
        answering(at.server, "PUT", Reply(500))
        (outcome,) = at.apply(create("key-1"))
        assert isinstance(outcome, Deferred)
        assert at.server.items == {}

    def test_under_a_name_that_is_taken(self, at: Desk) -> None:
        at.server.set("key-1.vcf", card("somebody-else"))
        (outcome,) = at.apply(create("key-1"))
        assert isinstance(outcome, Refused)
        assert outcome.code == "name_taken"
        assert b"somebody-else" in at.server.items["key-1.vcf"][1]

    @pytest.mark.parametrize("status", [403, 409, 412])
    def test_whose_uid_stands_elsewhere_is_that_item(self, at: Desk, status: int) -> None:
        at.server.set("renamed.vcf", card("key-1"))
        answering(at.server, "PUT", Reply(status, b'<error xmlns="DAV:"><no-uid-conflict/></error>'))
        (done,) = at.apply(create("key-1"))
        assert isinstance(done, Done)
        assert done.id == "renamed.vcf"

    def test_on_a_server_that_renames(self, at: Desk) -> None:
        def renaming(request: Request) -> Reply | None:
            if request.method != "PUT":
                return None
            etag = at.server.set("server-chosen.vcf", request.body)
            return Reply(201, headers={"ETag": etag})

        at.server.before = renaming
        (done,) = at.apply(create("key-1"))
        assert isinstance(done, Done)
        assert done.id == "server-chosen.vcf"

    def test_of_what_somebody_put_back_already(self, at: Desk) -> None:
        """Undo: the same UID under another name, on a server that would take it twice."""
        at.server.set("restored.vcf", card("old-uid"))
        (done,) = at.apply(Create("old-uid", Kind.CONTACT, {}, native=card("old-uid")))
        assert isinstance(done, Done)
        assert done.id == "restored.vcf"
        assert not at.server.seen("PUT")

    def test_puts_native_text_back_as_it_was(self, at: Desk) -> None:
        text = card("old-uid", more="X-ODD;A=b:c\\,d\r\nPHOTO;ENCODING=b:AAAA\r\n")
        (done,) = at.apply(Create("old-uid", Kind.CONTACT, {}, native=text))
        assert isinstance(done, Done)
        assert at.server.items[done.id][1].decode() == text

    def test_of_columns_that_make_no_item(self, at: Desk) -> None:
        (outcome,) = at.apply(Create("key-1", Kind.CONTACT, {}))
        assert isinstance(outcome, Refused)
        assert outcome.code == "unfit"

    def test_in_a_collection_that_is_gone(self, at: Desk) -> None:
        answering(at.server, "PUT", Reply(404))
        with pytest.raises(NotFound):
            at.apply(create("key-1"))

    @pytest.mark.parametrize(
        ("reply", "code"),
        [
            (Reply(400), "invalid"),
            (Reply(403), "forbidden"),
            (Reply(413), "too_large"),
            (Reply(415), "unsupported"),
            (Reply(418), "http_418"),
            (Reply(507), "quota"),
            (Reply(412), "precondition"),
            (Reply(412, b'<error xmlns="DAV:"><a:valid-address-data xmlns:a="urn:x"/></error>'), "invalid"),
            (Reply(403, b'<error xmlns="DAV:"><max-resource-size/></error>'), "too_large"),
        ],
    )
    def test_that_no_repetition_helps(self, at: Desk, reply: Reply, code: str) -> None:
        answering(at.server, "PUT", reply)
        (outcome,) = at.apply(create("key-1"))
        assert isinstance(outcome, Refused)
        assert outcome.code == code
        assert str(reply.status) in outcome.reason


class TestUpdate:
    def test_of_a_fetched_item_reads_nothing_before(self, at: Desk) -> None:
        etag = at.server.set("a.vcf", card("a", more="X-ODD:kept\r\n"))
        fetched(at, "a.vcf")
        before = at.asked()
        (done,) = at.apply(rename("a.vcf", etag))
        assert isinstance(done, Done)
        assert done.record is not None
        assert done.record.columns["last_name"] == "Lovelace"
        assert [r.method for r in at.server.requests[before:]] == ["PUT", "REPORT"]
        assert b"X-ODD:kept\r\n" in at.server.items["a.vcf"][1]

    def test_of_a_new_cycle_reads_again(self, at: Desk) -> None:
        """Some servers' ETags start again: what was remembered may belong to another text."""
        etag = at.server.set("a.vcf", card("a"))
        fetched(at, "a.vcf")
        at.changes()
        before = at.asked()
        at.apply(rename("a.vcf", etag))
        assert [r.method for r in at.server.requests[before:]] == ["REPORT", "PUT", "REPORT"]

    def test_that_changes_nothing_sends_nothing(self, at: Desk) -> None:
        etag = at.server.set("a.vcf", card("a"))
        fetched(at, "a.vcf")
        (done,) = at.apply(rename("a.vcf", etag, "Hopper"))
        assert isinstance(done, Done)
        assert done.version == etag
        assert not at.server.seen("PUT")

    @pytest.mark.parametrize("expected", ['"other"', ""])
    def test_of_another_version_is_stale(self, at: Desk, expected: str) -> None:
        at.server.set("a.vcf", card("a"))
        assert at.apply(rename("a.vcf", expected)) == [Stale("a.vcf")]
        assert not at.server.seen("PUT")

    def test_that_lost_the_race_is_stale(self, at: Desk) -> None:
        etag = at.server.set("a.vcf", card("a"))
        fetched(at, "a.vcf")
        at.server.set("a.vcf", card("a", "Quicker"))
        assert at.apply(rename("a.vcf", etag)) == [Stale("a.vcf")]
        assert b"Quicker" in at.server.items["a.vcf"][1]

    def test_of_a_deleted_item_is_stale(self, at: Desk) -> None:
        etag = at.server.set("a.vcf", card("a"))
        fetched(at, "a.vcf")
        at.server.remove("a.vcf")
        assert at.apply(rename("a.vcf", etag)) == [Stale("a.vcf")]
        assert at.apply(rename("a.vcf", etag)) == [Stale("a.vcf")]
        assert at.server.items == {}

    def test_that_lost_its_answer_is_done(self, at: Desk) -> None:
        etag = at.server.set("a.vcf", card("a"))
        applied_but(at.server, "PUT", 500)
        (done,) = at.apply(rename("a.vcf", etag))
        assert isinstance(done, Done)
        assert done.version == at.server.items["a.vcf"][0] != etag

    def test_that_failed_is_deferred(self, at: Desk) -> None:
        etag = at.server.set("a.vcf", card("a"))
        answering(at.server, "PUT", Reply(500))
        (outcome,) = at.apply(rename("a.vcf", etag))
        assert isinstance(outcome, Deferred)

    def test_refused_with_412_though_nobody_else_wrote(self, at: Desk) -> None:
        """Radicale 3.9.0 says 412 to what is larger than its max_resource_size; Stale would try for ever."""
        etag = at.server.set("a.vcf", card("a"))
        answering(at.server, "PUT", Reply(412))
        (outcome,) = at.apply(rename("a.vcf", etag))
        assert isinstance(outcome, Refused)
        assert outcome.code == "precondition"

    def test_without_an_etag_in_the_answer_is_read_back(self, at: Desk) -> None:
        at.server.put_etag = False
        etag = at.server.set("a.vcf", card("a"))
        (done,) = at.apply(rename("a.vcf", etag))
        assert isinstance(done, Done)
        assert done.version == at.server.items["a.vcf"][0]

    def test_that_the_server_rewrites_is_done_with_what_it_keeps(self, at: Desk) -> None:
        at.server.rewrites = lambda text: text.replace(b"Lovelace", b"LOVELACE")
        etag = at.server.set("a.vcf", card("a"))
        (done,) = at.apply(rename("a.vcf", etag))
        assert isinstance(done, Done)
        assert done.record is not None
        assert done.record.columns["last_name"] == "LOVELACE"

    @pytest.mark.parametrize("put_etag", [True, False])
    def test_overtaken_before_it_was_read_back_does_not_pass_off_the_other_edit(
        self, at: Desk, put_etag: bool
    ) -> None:
        at.server.put_etag = put_etag
        etag = at.server.set("a.vcf", card("a"))

        def overtaken(request: Request) -> Reply | None:
            if at.server.seen("PUT") and request.method == "REPORT":
                at.server.set("a.vcf", card("a", "Somebody else"))
            return None

        at.server.before = overtaken
        (done,) = at.apply(rename("a.vcf", etag))
        assert isinstance(done, Done)
        assert done.record is None
        assert done.version == ('"e1"' if put_etag else "")

    def test_of_what_cannot_be_read(self, at: Desk) -> None:
        etag = at.server.set("a.vcf", "nothing of the kind")
        (outcome,) = at.apply(rename("a.vcf", etag))
        assert isinstance(outcome, Refused)
        assert outcome.code == "unreadable"

    def test_of_what_is_hidden(self, at: Desk) -> None:
        etag = at.server.set("a.vcf", card("a"))
        at.server.hides = {"a.vcf"}
        (outcome,) = at.apply(rename("a.vcf", etag))
        assert isinstance(outcome, Refused)
        assert outcome.code == "forbidden"

    def test_of_a_card_without_a_uid_gives_it_none(self, at: Desk) -> None:
        etag = at.server.set("a.vcf", card("@").replace("UID:@\r\n", ""))
        (done,) = at.apply(rename("a.vcf", etag))
        assert isinstance(done, Done)
        assert done.record is not None
        assert done.record.uid == ""


class TestStamps:
    """Alone on an item: what nearly all writes of a first sync are."""

    def stamped(self, at: Desk, count: int = GROUP, *, beginning: int = 0) -> list[Done]:
        names = [f"i{n}.vcf" for n in range(beginning, beginning + count)]
        versions = [at.server.set(name, card(name)) for name in names]
        at.fetch(*names)
        self.before = len(at.server.seen("REPORT"))
        done = at.apply(*(stamp(name, version) for name, version in zip(names, versions, strict=True)))
        assert all(isinstance(o, Done) for o in done)
        assert [o.version for o in done if isinstance(o, Done)] == [at.server.items[n][0] for n in names]
        return [o for o in done if isinstance(o, Done)]

    def looked_at(self, at: Desk) -> list[int]:
        """How many items each question after the stamps was about."""
        return [len(re.findall("href>[^<]", str(r.body))) for r in at.server.seen("REPORT")[self.before :]]

    def test_are_looked_at_until_the_server_has_shown_that_it_keeps_them(self, at: Desk) -> None:
        self.stamped(at)
        assert self.looked_at(at) == [GROUP]
        self.stamped(at, beginning=GROUP)
        assert self.looked_at(at) == [1]

    def test_are_all_looked_at_where_the_server_rewrites(self, at: Desk) -> None:
        at.server.rewrites = lambda text: text.replace(b"END:VCARD", b"X-SEEN:1\r\nEND:VCARD")
        for beginning in (0, GROUP):
            done = self.stamped(at, beginning=beginning)
            assert self.looked_at(at) == [GROUP]
            assert all(o.record is not None and "X-SEEN" in o.record.native for o in done)

    def test_are_all_looked_at_again_when_the_server_begins_to_rewrite(self, at: Desk) -> None:
        self.stamped(at)
        at.server.rewrites = lambda text: text.replace(b"Hopper", b"HOPPER")
        done = self.stamped(at, 10, beginning=GROUP)
        assert self.looked_at(at) == [1, 9]
        assert {o.record.columns["last_name"] for o in done if o.record} == {"HOPPER"}
        assert all(o.record for o in done)

    def test_without_a_version_in_the_answer_are_looked_at(self, at: Desk) -> None:
        self.stamped(at)
        at.server.put_etag = False
        self.stamped(at, 10, beginning=GROUP)
        assert self.looked_at(at) == [10]

    def test_beside_an_edit_leave_the_edit_to_be_looked_at(self, at: Desk) -> None:
        self.stamped(at)
        names = ["a.vcf", "b.vcf", "c.vcf"]
        versions = {name: at.server.set(name, card(name)) for name in names}
        at.fetch(*names)
        self.before = len(at.server.seen("REPORT"))
        edit = rename("b.vcf", versions["b.vcf"])
        outcomes = at.apply(stamp("a.vcf", versions["a.vcf"]), edit, stamp("c.vcf", versions["c.vcf"]))
        assert self.looked_at(at) == [2]
        assert [isinstance(o, Done) and o.record is not None for o in outcomes] == [True, True, False]


class TestDelete:
    def test_is_conditional(self, at: Desk) -> None:
        etag = at.server.set("a.vcf", card("a"))
        assert at.apply(Delete("a.vcf", etag)) == [Done("a.vcf", "")]
        assert at.server.seen("DELETE")[0].headers["If-Match"] == etag
        assert at.apply(Delete("a.vcf", etag)) == [Done("a.vcf", "")]

    @pytest.mark.parametrize("heeds", [True, False])
    def test_of_another_version_is_stale_whatever_the_server_would_do(self, at: Desk, heeds: bool) -> None:
        at.server.heeds_match = heeds
        etag = at.server.set("a.vcf", card("a"))
        at.server.set("a.vcf", card("a", "Edited"))
        assert at.apply(Delete("a.vcf", etag)) == [Stale("a.vcf")]
        assert "a.vcf" in at.server.items

    def test_of_what_is_hidden_deletes_nothing(self, at: Desk) -> None:
        etag = at.server.set("a.vcf", card("a"))
        at.server.hides = {"a.vcf"}
        (outcome,) = at.apply(Delete("a.vcf", etag))
        assert isinstance(outcome, Refused)
        assert not at.server.seen("DELETE")

    @pytest.mark.parametrize("status", [207, 412, 500])
    def test_that_lost_its_answer_is_done(self, at: Desk, status: int) -> None:
        etag = at.server.set("a.vcf", card("a"))
        applied_but(at.server, "DELETE", status)
        assert at.apply(Delete("a.vcf", etag)) == [Done("a.vcf", "")]

    @pytest.mark.parametrize(
        ("status", "expected"),
        [(412, Refused), (403, Refused), (500, Deferred), (207, Deferred), (423, Deferred)],
    )
    def test_that_did_not_happen(self, at: Desk, status: int, expected: type) -> None:
        etag = at.server.set("a.vcf", card("a"))
        at.server.before = lambda request: Reply(status) if request.method == "DELETE" else None
        (outcome,) = at.apply(Delete("a.vcf", etag))
        assert isinstance(outcome, expected)
