"""What stands between IMAP's words and ours: sets of numbers, keywords, folder names. Pure.

RFC 9051, RFC 4731 (ESEARCH), RFC 7162 (CONDSTORE).
"""

import re
from base64 import b32decode, b32encode
from collections.abc import Iterable, Iterator, Sequence

from imapclient.imap_utf7 import encode as encode_utf7

from crmsync.connectors.mail.names import folder_name, usable_name

_KEYWORD_SAFE = re.compile(rb"[a-z0-9!#&'+,\-./:;<>?@^_`|~]")
_ESCAPED = re.compile(r"=([0-9a-f]{2})")
_WHOLE = "=_"  # before what is packed as a whole, because letter by letter it would get too long
MAX_KEYWORD = 50  # bytes: what Dovecot 2.3 takes
TECHNICAL = ("nonjunk", "junk", "notjunk", "forwarded", "mdnsent")  # keywords that no person has set
MAX_NAME = 180  # bytes of a folder's name, as it travels


def numbers(sets: Iterable[bytes]) -> set[int]:
    """``1:3,7`` as the numbers themselves. Raises ValueError for anything else."""
    found: set[int] = set()
    for text in sets:
        for piece in text.split(b","):
            first, _, last = piece.partition(b":")
            low, high = sorted((int(first), int(last or first)))
            if high - low > 10_000_000:
                raise ValueError("a range that no folder can have")
            found.update(range(low, high + 1))
    return found


def sequence(uids: Iterable[int]) -> bytes:
    """Numbers as a set, ranges drawn together."""
    return b",".join(b"%d" % a if a == b else b"%d:%d" % (a, b) for a, b in _runs(sorted(set(uids))))


def _runs(ordered: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = last = None
    for n in ordered:
        if last is not None and n == last + 1:
            last = n
            continue
        if start is not None and last is not None:
            yield start, last
        start = last = n
    if start is not None and last is not None:
        yield start, last


def esearch(responses: Iterable[bytes]) -> set[int]:
    """The numbers of ``* ESEARCH (TAG "x") UID ALL 1:3,7``; none where it has no ALL."""
    found: set[int] = set()
    for response in responses:
        if response and (told := re.search(rb"\bALL ([0-9:,]+)", response)):
            found |= numbers([told[1]])
    return found


# ── Keywords ─────────────────────────────────────────────────────────────────────────────────────────────────


def keyword(category: str) -> str:
    """A category as a keyword. Keywords are ASCII without blanks, and servers tell no upper from lower case."""
    data = category.lower().encode("utf-8", "ignore")
    if not data.isascii():
        return _WHOLE + b32encode(data).decode("ascii").rstrip("=").lower()
    pieces = (bytes([b]) if _KEYWORD_SAFE.fullmatch(bytes([b])) else b"=%02x" % b for b in data)
    return b"".join(pieces).decode("ascii")


def category(keyword: str) -> str:
    """What ``keyword`` was given, or the keyword itself as somebody else has set it; in lower case."""
    low = keyword.lower()
    try:
        if low.startswith(_WHOLE):
            packed = low[len(_WHOLE) :].upper()
            return b32decode(packed + "=" * (-len(packed) % 8)).decode("utf-8")
        return _ESCAPED.sub(lambda m: chr(int(m[1], 16)), low)
    except ValueError:
        return low


def usable(category: str) -> bool:
    word = keyword(category)
    return bool(word) and len(word) <= MAX_KEYWORD and category.isprintable() and word not in TECHNICAL


# ── Folder names ─────────────────────────────────────────────────────────────────────────────────────────────


def nameable(text: str) -> str:
    """As much of a text as a folder's name can say; empty: nothing."""
    name = usable_name(text)
    while name and len(encode_utf7(folder_name(name))) > MAX_NAME:
        name = name[: min(len(name) - 1, MAX_NAME)].rstrip()
    return " ".join(name.split()).strip()
