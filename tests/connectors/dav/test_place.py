"""Hrefs to ids and back: only direct children of the collection have one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmsync.connectors.dav.place import Place, canonical, file_name

BOOK = Place("/dav/al%69ce@example.com/Contacts%20ä/")


@pytest.mark.parametrize(
    "href",
    [
        "/dav/alice@example.com/Contacts%20%C3%A4/x.vcf",
        "/dav/alice%40example.com/Contacts ä/x.vcf",
        "https://elsewhere.example.com/dav/alice@example.com/Contacts%20%C3%A4/x.vcf",
        "//dav//alice@example.com/Contacts%20%C3%A4/x.vcf"[1:],
    ],
)
def test_every_spelling_of_an_item_is_one_id(href: str) -> None:
    assert BOOK.item(href) == "x.vcf"


@pytest.mark.parametrize(
    "href",
    [
        "/dav/alice@example.com/Contacts%20%C3%A4/",
        "/dav/alice@example.com/Contacts%20%C3%A4",
        "/dav/alice@example.com/Contacts%20%C3%A4/sub/",
        "/dav/alice@example.com/Contacts%20%C3%A4/sub/x.vcf",
        "/dav/alice@example.com/Contacts%20%C3%A4/../Other/x.vcf",
        "/dav/alice@example.com/Contacts%20%C3%A4/..",
        "/dav/alice@example.com/Contacts%20%C3%A4/%2e%2e",
        "/dav/alice@example.com/Contacts%20%C3%A4/a%2Fb.vcf",
        "/dav/alice@example.com/Contacts%20%C3%A4/..%2F..%2Fx.vcf",
        "/dav/alice@example.com/Contacts%20%C3%A4/%00.vcf",
        "/dav/alice@example.com/Contacts%20%C3%A4/%FF.vcf",
        "/dav/bob/Contacts/x.vcf",
        "x.vcf",
        "",
        "http://[broken/x.vcf",
    ],
)
def test_what_is_no_direct_child_is_nobody(href: str) -> None:
    assert BOOK.item(href) is None


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1).filter(
        lambda t: t not in ".."
    )
)
def test_an_id_comes_back_from_its_href(item: str) -> None:
    assert BOOK.item(BOOK.href(item)) == item
    assert BOOK.href(item).isascii()


def test_the_collection_knows_itself() -> None:
    assert BOOK.is_self("/dav/alice%40example.com/Contacts%20%C3%A4")
    assert BOOK.is_self("http://example.com/dav/alice@example.com/Contacts%20ä/")
    assert not BOOK.is_self("/dav/alice@example.com/")
    assert canonical(BOOK.path) == BOOK.path


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"), min_size=1))
def test_a_key_gives_one_safe_name(key: str, other: str) -> None:
    name = file_name(key, ".vcf")
    assert name == file_name(key, ".vcf")
    assert name.isascii()
    assert not set(name) & set("/\\:%?# ")
    assert not name.startswith(".")
    assert (name == file_name(other, ".vcf")) == (key == other)
