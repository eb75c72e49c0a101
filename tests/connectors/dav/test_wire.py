"""Bytes to values: as a stream, bounded, and nothing that a document type could declare."""

import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from lxml import etree

from crmsync.connectors.dav import wire
from crmsync.connectors.dav.wire import Answer, NotXml, Token

_ITEM = (
    '<D:response><D:href>/book/{n}.vcf</D:href><D:propstat><D:prop><D:getetag>"{n}"</D:getetag></D:prop>'
    "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
)


def body(content: str, head: str = "") -> bytes:
    namespaces = (
        'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:CR="urn:ietf:params:xml:ns:carddav"'
    )
    return f'<?xml version="1.0" encoding="utf-8"?>{head}<D:multistatus {namespaces}>{content}</D:multistatus>'.encode()


def answers(data: bytes, size: int = 65536) -> list[Answer | Token]:
    return list(wire.multistatus(data[at : at + size] for at in range(0, len(data), size)))


class TestMultistatus:
    def test_properties_that_were_found(self) -> None:
        found = """<D:response><D:href>/alice/</D:href>
          <D:propstat><D:prop><D:resourcetype><D:collection/><CR:addressbook/></D:resourcetype>
            <D:owner><D:href>/alice/</D:href></D:owner>
            <C:supported-calendar-component-set><C:comp name="VEVENT"/><C:comp name="VTODO"/>
            </C:supported-calendar-component-set>
            <D:current-user-privilege-set><D:privilege><D:read/></D:privilege><D:privilege><D:write/></D:privilege>
            </D:current-user-privilege-set><D:displayname>Ada &amp; Bob</D:displayname></D:prop>
            <D:status>HTTP/1.1 200 OK</D:status></D:propstat>
          <D:propstat><D:prop><D:getetag/></D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>
        </D:response>"""
        (answer,) = answers(body(found))
        assert isinstance(answer, Answer)
        assert (answer.href, answer.status) == ("/alice/", 200)
        assert answer.texts[wire.DISPLAY_NAME] == "Ada & Bob"
        assert wire.ETAG not in answer.texts
        assert answer.parts[wire.RESOURCE_TYPE] == (wire.COLLECTION, wire.CARDDAV + "addressbook")
        assert answer.parts[wire.OWNER] == ("/alice/",)
        assert answer.parts[wire.COMPONENTS] == ("VEVENT", "VTODO")
        assert answer.parts[wire.PRIVILEGES] == (wire.DAV + "read", wire.DAV + "write")

    def test_a_status_of_the_resource_itself_and_its_condition(self) -> None:
        gone = "<D:response><D:href>/a</D:href><D:status>HTTP/1.1 404 Not Found</D:status></D:response>"
        more = (
            "<D:response><D:href>/</D:href><D:status>HTTP/1.1 507 Insufficient Storage</D:status>"
            "<D:error><D:number-of-matches-within-limits/></D:error></D:response>"
        )
        first, second = answers(body(gone + more))
        assert isinstance(first, Answer)
        assert isinstance(second, Answer)
        assert (first.status, second.status) == (404, 507)
        assert second.conditions == (wire.DAV + "number-of-matches-within-limits",)

    @pytest.mark.parametrize("size", [1, 7, 65536])
    def test_any_pieces_give_the_same_answers(self, size: int) -> None:
        data = body("<D:sync-token>first</D:sync-token>" + "".join(_ITEM.format(n=n) for n in range(20)))
        assert answers(data, size) == answers(data)
        assert answers(data)[0] == Token("first")

    def test_a_sync_token_among_properties_is_no_token_of_the_answer(self) -> None:
        data = body(
            "<D:response><D:href>/</D:href><D:propstat><D:prop><D:sync-token>inner</D:sync-token></D:prop>"
            "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response><D:sync-token>outer</D:sync-token>"
        )
        answer, token = answers(data)
        assert isinstance(answer, Answer)
        assert answer.texts[wire.SYNC_TOKEN] == "inner"
        assert token == Token("outer")

    def test_memory_does_not_grow_with_the_listing(self) -> None:
        def pieces(count: int) -> Iterator[bytes]:
            start, end = body("@").split(b"@")
            yield start
            for at in range(count):
                yield _ITEM.format(n=at).encode()
            yield end

        def peak(count: int) -> int:
            tracemalloc.start()
            assert sum(1 for _ in wire.multistatus(pieces(count))) == count
            size = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return size

        peak(10)
        assert peak(20_000) < 2 * peak(200) + 100_000

    @pytest.mark.parametrize(
        ("told", "modified"),
        [
            ("Sun, 22 Nov 2026 11:00:00 +0100", datetime(2026, 11, 22, 10, tzinfo=UTC)),
            ("Fri, 31 Dec 9999 23:59:59 -1400", None),
            (f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT", None),
        ],
    )
    def test_the_time_of_the_last_change(self, told: str, modified: datetime | None) -> None:
        (answer,) = answers(
            body(
                "<D:response><D:href>/a</D:href><D:propstat><D:prop><D:getlastmodified>"
                f"{told}</D:getlastmodified></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
            )
        )
        assert isinstance(answer, Answer)
        assert answer.modified() == modified


class TestHostileInput:
    def test_a_bomb_of_nested_entities_is_refused_before_it_goes_off(self) -> None:
        bomb = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 30))
        href = "<D:response><D:href>&a29;</D:href></D:response>"
        began = time.process_time()
        with pytest.raises(NotXml, match="document type"):
            answers(body(href, head=f"<!DOCTYPE D:multistatus [{bomb}]>"))
        assert time.process_time() - began < 1

    def test_a_bomb_behind_a_long_comment_or_in_small_pieces(self) -> None:
        dtd = '<!DOCTYPE D:multistatus [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
        attack = "<D:response><D:href>&b;</D:href></D:response>"
        for head in (f"<!--{'x' * 9000}-->{dtd}", f"{' ' * 9000}{dtd}", dtd):
            for size in (1, 1000, 65536):
                with pytest.raises(NotXml):
                    answers(body(attack, head=head), size)

    def test_external_entities_are_not_fetched(self) -> None:
        dtd = '<!DOCTYPE D:multistatus [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
        with pytest.raises(NotXml):
            answers(body("<D:response><D:href>&a;</D:href></D:response>", head=dtd))

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"hello",
            b"<html><body>Log in, please</body></html>",
            b'<D:error xmlns:D="DAV:"/>',
            b'<html><D:multistatus xmlns:D="DAV:"/></html>',
            body("<D:response><D:href>/a").removesuffix(b"</D:multistatus>"),
            body("")[:-5],
            body("<D:response><D:href>\x0b</D:href></D:response>"),
            body("<D:response><D:href>@</D:href></D:response>").replace(b"@", b"\xff\xfe"),
            body("").decode().encode("utf-16"),
        ],
        ids=["empty", "text", "html", "error", "nested", "cut", "cut end", "control", "not utf-8", "utf-16"],
    )
    def test_what_is_no_complete_multistatus(self, data: bytes) -> None:
        with pytest.raises(NotXml):
            answers(data)

    def test_what_came_before_the_break_is_handed_out(self) -> None:
        broken = body(_ITEM.format(n=1) + _ITEM.format(n=2)).removesuffix(b"</D:multistatus>")
        got: list[Answer | Token] = []
        with pytest.raises(NotXml):
            got.extend(wire.multistatus([broken]))
        assert [a.href for a in got if isinstance(a, Answer)] == ["/book/1.vcf", "/book/2.vcf"]

    def test_one_endless_answer_is_cut_off(self) -> None:
        def endless() -> Iterator[bytes]:
            yield body("@").split(b"@")[0] + b"<D:response><D:propstat><D:prop>"
            while True:
                yield b"<D:x>" + b"y" * 65536 + b"</D:x>"

        with pytest.raises(NotXml, match="larger than"):
            list(wire.multistatus(endless()))

    def test_one_answer_of_many_parts_is_cut_off(self) -> None:
        many = body(f"<D:response><D:prop>{'<D:x/>' * (wire.MAX_NODES + 20_000)}</D:prop></D:response>")
        with pytest.raises(NotXml, match="parts"):
            answers(many)
        assert len(answers(body(_ITEM.format(n=1) * (wire.MAX_NODES // 5)))) == wire.MAX_NODES // 5

    @pytest.mark.parametrize("encoding", ["utf-7", "JAVA"])
    def test_no_encoding_hides_elements(self, encoding: str) -> None:
        """They are counted by their first byte."""
        hidden = "+ADw-D:x/+AD4-\\u003cD:x/>"
        data = body(f"<D:response><D:href>{hidden}</D:href></D:response>")
        (answer,) = answers(data.replace(b'"utf-8"', f'"{encoding}"'.encode()))
        assert isinstance(answer, Answer)
        assert answer.href == hidden

    def test_a_name_that_lies_in_a_long_namespace_is_nobodys(self) -> None:
        long = f'<x xmlns="{"u" * 1000}"><y/><z/></x><D:getetag>"1"</D:getetag>'
        (answer,) = answers(
            body(
                f"<D:response><D:propstat><D:prop>{long}</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"
                "</D:response>"
            )
        )
        assert isinstance(answer, Answer)
        assert answer.texts == {"": "", wire.ETAG: '"1"'}
        assert answer.parts == {"": ("", "")}

    def test_conditions_of_a_refusal(self) -> None:
        assert wire.conditions(b'<error xmlns="DAV:"><valid-sync-token/></error>') == (
            "{DAV:}valid-sync-token",
        )
        for other in (b"", b"Forbidden", b"<html>error</html>", b"<error", b"error" * 20_000):
            assert wire.conditions(other) == ()
        assert wire.conditions(b'<!DOCTYPE e [<!ENTITY a "x">]><error xmlns="DAV:"><a/></error>') == ()


class TestRequests:
    @pytest.mark.parametrize(
        "request_body",
        [
            wire.propfind((wire.ETAG, wire.CTAG, wire.COMPONENTS)),
            wire.sync_collection("http://example.com/?a=1&b=<2>", (wire.ETAG,)),
            wire.multiget(wire.CARDDAV + "addressbook-multiget", ["/a&b<c>.vcf"], (wire.ETAG,)),
            wire.uid_query(wire.CARDDAV + "addressbook-query", (), "a<b>&\"'"),
            wire.uid_query(wire.CALDAV + "calendar-query", ("VCALENDAR", "VEVENT"), "a<b>&\"'"),
        ],
    )
    def test_are_well_formed_whatever_they_carry(self, request_body: bytes) -> None:
        root = etree.fromstring(request_body)
        assert root.find(".//" + wire.ETAG) is not None

    def test_declare_no_more_than_they_use(self) -> None:
        """A changed contact is three of them, and most of each was namespaces."""
        assert wire.sync_collection("t", (wire.ETAG,)).count(b"xmlns:") == 1
        assert wire.multiget(wire.CARDDAV + "addressbook-multiget", ["/<C:x>.vcf"], ()).count(b"xmlns:") == 2

    def test_never_ask_for_a_limit(self) -> None:
        assert b"limit" not in wire.sync_collection("t", (wire.ETAG,))
