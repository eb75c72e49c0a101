"""The stored cursor: comes back as it was, stays small, and is not believed when it is somebody else's."""

import uuid

import pytest

from crmsync.connectors.contract import Gone, Ref
from crmsync.connectors.dav import cursor
from crmsync.connectors.dav.cursor import CtagCursor, SyncCursor, checksum
from crmsync.connectors.errors import CursorExpired


@pytest.mark.parametrize(
    "known",
    [
        None,
        SyncCursor("http://example.com/ns/sync/1", 0, frozenset()),
        SyncCursor("token with spaces", 2, frozenset({1, 2**32 - 1})),
        SyncCursor("data:,17", 5000, None),
        CtagCursor("", {}),
        CtagCursor('"a b"', {"x.vcf": "AAAA", "ä\nb %.vcf": "BBBB"}),
    ],
)
def test_comes_back(known: cursor.Known) -> None:
    assert cursor.decode(cursor.encode(known)) == known


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "sync",
        "sync 1",
        "sync 1 x . t",
        "sync 1 1 .??? t",
        "sync 2 1 . t",
        "ctag 1 a- eA==",
        "ctag 1 a-",
    ],
)
def test_what_is_not_ours_has_expired(text: str) -> None:
    with pytest.raises(CursorExpired):
        cursor.decode(text)


def test_sizes() -> None:
    """The promises of the module's docstring."""
    few = SyncCursor("t", 200, frozenset(checksum(str(n)) for n in range(200)))
    many = CtagCursor("c", {f"{uuid.uuid4()}.vcf": cursor.fingerprint(str(n)) for n in range(10_000)})
    assert len(cursor.encode(few)) < 1_150
    assert len(cursor.encode(many)) < 450_000


def test_remembers_ids_while_there_are_few() -> None:
    at = SyncCursor("1", 0, frozenset()).after("2", [Ref("a", "1"), Ref("b", "1")], [])
    assert at == SyncCursor("2", 2, frozenset({checksum("a"), checksum("b")}))
    at = at.after("3", [Ref("c", "1")], [Gone("a")])
    assert at == SyncCursor("3", 2, frozenset({checksum("b"), checksum("c")}))
    at = at.after("4", refs(300), [])
    assert (at.known, at.count) == (None, 302)


def test_counts_at_least_when_there_are_many() -> None:
    at = SyncCursor("1", 400, None)
    assert at.after("2", refs(500), [], new=True).count == 900
    assert at.after("2", refs(10), []).count == 400
    assert at.after("2", refs(500), []).count == 500
    assert at.after("2", [], [Gone("1")]).count == 399


def refs(count: int) -> list[Ref]:
    return [Ref(str(n), "1") for n in range(count)]
