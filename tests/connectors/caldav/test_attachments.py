"""The files of an event: what is said of each, and their names."""

import pytest

from crmsync.connectors.caldav.mapping import patch, read
from crmsync.connectors.files import decoded
from tests.connectors.caldav.test_attendees import NOW, meeting


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("ATTACH;VALUE=BINARY;ENCODING=BASE64;X-FILENAME=a.txt:eA==", "a.txt"),
        ('ATTACH;FILENAME="a; b,c.txt":https://example.com/x', "a; b,c.txt"),
        ("ATTACH:https://example.com/plan%20b.pdf?a=1#p", "plan b.pdf"),
        ("ATTACH:https://example.com/", "attachment"),
        ("ATTACH;FMTTYPE=application/pdf:https://example.com/", "attachment.pdf"),
        ("ATTACH;FMTTYPE=text/plain;ENCODING=BASE64;VALUE=BINARY:eA==", "attachment.txt"),
        # a name is no way to anywhere
        ("ATTACH;FILENAME=../../etc/passwd:https://example.com/x", "passwd"),
        ('ATTACH;FILENAME="C:\\x\\y.doc":https://example.com/x', "y.doc"),
        ("ATTACH:/files/here.txt", "here.txt"),
        # a part of a message that is not here, what is no address, and nothing
        ("ATTACH:CID:part1@example.com", None),
        ("ATTACH:file:///etc/passwd", None),
        ("ATTACH:http://[broken", None),
        ("ATTACH:", None),
    ],
)
def test_what_they_are_called(line: str, name: str | None) -> None:
    text = meeting(line)
    item = read(text)
    assert [each.name for each in item.files] == ([name] if name else [])
    assert item.columns["attachments"] == ((name,) if name else None)
    assert patch(text, {"attachments": ("other.txt",)}, now=NOW) == text


def test_how_large_they_are() -> None:
    lines = (
        "ATTACH;VALUE=BINARY;ENCODING=BASE64:eHh4eA==",
        "ATTACH;SIZE=12:https://example.com/a",
        "ATTACH;SIZE=many:https://example.com/b",
    )
    assert [each.size for each in read(meeting(*lines)).files] == [4, 12, None]


@pytest.mark.parametrize(
    ("text", "content"), [("eHh4eA==", b"xxxx"), (" eHh4\teA==", b"xxxx"), ("!", b""), ("é", b"")]
)
def test_what_is_no_base64_is_nothing(text: str, content: bytes) -> None:
    assert decoded(text) == content
