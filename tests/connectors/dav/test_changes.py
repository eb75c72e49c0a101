"""Changes since a cursor, on servers of many habits: nothing missed, and a lost cursor never looks like edits."""

import pytest

from crmsync.connectors.contract import Gone, Ref
from crmsync.connectors.dav import changes as module
from crmsync.connectors.errors import CursorExpired, ProtocolError
from tests.connectors.dav.bench import Desk, card
from tests.servers.quirky import BOOK, Reply, Request


def fill(at: Desk, count: int) -> None:
    for n in range(count):
        at.server.set(f"{n}.vcf", card(str(n)))


def ids(items: list[object]) -> set[str]:
    return {item.id for item in items if isinstance(item, Ref | Gone)}


class TestSyncCollection:
    def test_one_request_when_nothing_changed(self, at: Desk) -> None:
        fill(at, 3)
        items, cursor = at.changes()
        assert len(items) == 3
        before = at.asked()
        assert at.changes(cursor) == ([], cursor)
        assert at.asked() - before == 1

    def test_never_limits(self, at: Desk) -> None:
        _, cursor = at.changes()
        at.changes(cursor)
        assert not any("limit" in request.body for request in at.server.requests)

    @pytest.mark.parametrize("page", [1, 2, 7])
    def test_a_server_that_truncates_is_asked_until_the_end(self, at: Desk, page: int) -> None:
        at.server.page = page
        fill(at, 20)
        items, cursor = at.changes()
        assert len(ids(items)) == 20
        at.server.remove("3.vcf")
        fill(at, 3)
        items, cursor = at.changes(cursor)
        assert ids(items) == {"0.vcf", "1.vcf", "2.vcf", "3.vcf"}
        assert Gone("3.vcf") in items
        assert at.changes(cursor)[0] == []

    def test_each_page_can_be_resumed_from(self, at: Desk) -> None:
        at.server.page = 4
        fill(at, 10)
        pages = at.pages()
        assert len(pages) > 2
        for at_page, page in enumerate(pages):
            before = {item.id for done in pages[: at_page + 1] for item in done.items}
            rest, _ = at.changes(page.cursor)
            assert before | ids(rest) == {f"{n}.vcf" for n in range(10)}

    def test_many_come_in_pages_whose_cursor_is_safe(self, at: Desk) -> None:
        fill(at, 2 * module.PAGE + 1)
        pages = at.pages()
        assert [len(page.items) for page in pages] == [module.PAGE, module.PAGE, 1]
        assert len(at.changes(pages[0].cursor)[0]) == 2 * module.PAGE + 1

    def test_truncation_that_does_not_move_is_an_error(self, at: Desk) -> None:
        body = (
            f'<multistatus xmlns="DAV:"><response><href>{BOOK}</href><status>HTTP/1.1 507 More</status></response>'
            "<sync-token>t0</sync-token></multistatus>"
        )
        _, cursor = at.changes()
        at.server.before = lambda request: Reply(207, body.encode())
        with pytest.raises(ProtocolError, match="same again"):
            at.changes(cursor)

    def test_changes_without_a_token_are_an_error(self, at: Desk) -> None:
        at.server.before = lambda request: Reply(207, b'<multistatus xmlns="DAV:"/>')
        with pytest.raises(ProtocolError, match="without a sync-token"):
            at.changes()

    def test_an_answer_that_breaks_off_brings_no_cursor(self, at: Desk) -> None:
        fill(at, 3)
        _, cursor = at.changes()
        body = b'<multistatus xmlns="DAV:"><sync-token>t9</sync-token><response><href>/dav/book/0.vcf</href>'
        at.server.before = lambda request: Reply(207, body)
        for since in (None, cursor):
            with pytest.raises(ProtocolError):
                at.changes(since)

    def test_hrefs_outside_of_the_collection_are_ignored(self, at: Desk) -> None:
        hrefs = (
            "/dav/other/1.vcf",
            "/dav/book/../other/2.vcf",
            "/dav/book/sub/",
            "/dav/book/..",
            "/dav/book/a%2Fb",
        )
        found = "<propstat><prop><getetag>x</getetag></prop><status>HTTP/1.1 200 OK</status></propstat>"
        answers = "".join(
            f"<response><href>{h}</href>{found}</response>" for h in (*hrefs, "/dav/book/ok.vcf")
        )
        body = f'<multistatus xmlns="DAV:">{answers}<sync-token>t1</sync-token></multistatus>'
        at.server.before = lambda request: Reply(207, body.encode())
        assert at.changes()[0] == [Ref("ok.vcf", "x")]

    def test_what_is_forbidden_now_is_to_be_looked_at_not_gone(self, at: Desk) -> None:
        answer = "<response><href>/dav/book/a.vcf</href><status>HTTP/1.1 403 Forbidden</status></response>"
        body = f'<multistatus xmlns="DAV:">{answer}<sync-token>t1</sync-token></multistatus>'
        at.server.before = lambda request: Reply(207, body.encode())
        assert at.changes()[0] == [Ref("a.vcf", "")]


class TestLostCursor:
    @pytest.mark.parametrize("status", [400, 403, 409, 410, 412, 500, 507])
    @pytest.mark.parametrize("body", [b"", b'<error xmlns="DAV:"><valid-sync-token/></error>'])
    def test_every_form_of_refusal(self, at: Desk, status: int, body: bytes) -> None:
        fill(at, 3)
        _, cursor = at.changes()
        at.server.first_token = 99
        at.server.lost = Reply(status, body)
        with pytest.raises(CursorExpired):
            at.changes(cursor)

    def test_everything_after_a_deletion(self, at: Desk) -> None:
        """Five known, one deleted meanwhile: the four that come back would hide it."""
        fill(at, 5)
        _, cursor = at.changes()
        at.server.remove("3.vcf")
        at.server.first_token = 99
        with pytest.raises(CursorExpired, match="everything"):
            at.changes(cursor)

    def test_everything_without_a_deletion_hides_nothing(self, at: Desk) -> None:
        fill(at, 5)
        _, cursor = at.changes()
        at.server.first_token = 99
        items, _ = at.changes(cursor)
        assert len(items) == 5

    @pytest.mark.parametrize("count", [300, module.MANY + 1])
    def test_everything_of_many(self, at: Desk, count: int) -> None:
        fill(at, count)
        _, cursor = at.changes()
        at.server.first_token = count + 1
        with pytest.raises(CursorExpired, match="everything"):
            at.changes(cursor)

    def test_many_real_changes_are_changes(self, at: Desk) -> None:
        fill(at, 300)
        _, cursor = at.changes()
        fill(at, 250)
        items, cursor = at.changes(cursor)
        assert len(items) == 250
        for n in range(300, 600):
            at.server.set(f"{n}.vcf", card(str(n)))
        assert len(at.changes(cursor)[0]) == 300

    def test_the_first_items_of_an_empty_collection_are_changes(self, at: Desk) -> None:
        _, cursor = at.changes()
        fill(at, 50)
        before = at.asked()
        assert len(at.changes(cursor)[0]) == 50
        assert at.asked() - before == 1

    def test_one_edit_of_the_only_item_costs_one_request(self, at: Desk) -> None:
        fill(at, 1)
        _, cursor = at.changes()
        fill(at, 1)
        before = at.asked()
        assert len(at.changes(cursor)[0]) == 1
        assert at.asked() - before == 1


class TestWithoutSync:
    @pytest.fixture(autouse=True)
    def _without(self, at: Desk) -> None:
        at.server.sync = False

    def test_changes_and_deletions_by_tag_and_listing(self, at: Desk) -> None:
        fill(at, 5)
        items, cursor = at.changes()
        assert len(items) == 5
        at.server.set("2.vcf", card("2", "Edited"))
        at.server.remove("3.vcf")
        items, cursor = at.changes(cursor)
        assert sorted(items, key=lambda item: item.id) == [
            Ref("2.vcf", at.server.items["2.vcf"][0]),
            Gone("3.vcf"),
        ]
        assert at.changes(cursor)[0] == []

    def test_an_unchanged_tag_costs_one_request(self, at: Desk) -> None:
        fill(at, 5)
        _, cursor = at.changes()
        before = at.asked()
        assert at.changes(cursor) == ([], cursor)
        assert at.asked() - before == 1

    def test_without_a_tag_the_listing_is_compared(self, at: Desk) -> None:
        at.server.ctag = False
        fill(at, 5)
        _, cursor = at.changes()
        assert at.changes(cursor)[0] == []
        at.server.set("2.vcf", card("2", "Edited"))
        assert ids(at.changes(cursor)[0]) == {"2.vcf"}

    def test_the_refusal_is_remembered(self, at: Desk) -> None:
        at.changes()
        at.changes()
        assert [request.report for request in at.server.seen("REPORT")] == ["sync-collection"]

    def test_what_only_left_the_listing_is_not_gone(self, at: Desk) -> None:
        """A filter, a right that was taken away: absence alone proves nothing."""
        fill(at, 3)
        _, cursor = at.changes()
        listing = f"<response><href>{BOOK}</href></response>"
        at.server.hides = {"0.vcf", "1.vcf", "2.vcf"}

        def filtered(request: Request) -> Reply | None:
            if request.method == "PROPFIND" and request.headers["Depth"] == "1":
                return Reply(207, f'<multistatus xmlns="DAV:">{listing}</multistatus>'.encode())
            return None

        at.server.before = filtered
        at.server.ctag = False
        assert at.changes(cursor)[0] == []
