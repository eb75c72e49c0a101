"""The "changes since" token of a DAV collection: the server's own, and what we need to notice that it was lost.

``sync 1 <count> <known> <token>``: a sync-token. There are servers that answer a token they have forgotten with
everything instead of an error, and then what was deleted meanwhile is missing without a word. To tell that from many
changes, the cursor remembers which items the collection held: a checksum of each id while there are few (200 items:
1.1 KB), only how many there were at least beyond that.

``ctag 1 <ctag> <listing>``: for servers without sync-collection, the collection's tag and what stood in it: ids with a
checksum of their versions, deflated. 10,000 items with random names take about 400 KB.

``start``: nothing yet, same as none.
"""

import base64
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeAlias
from urllib.parse import quote, unquote

from crmsync.connectors.contract import Gone, Ref
from crmsync.connectors.errors import CursorExpired

FEW = 200  # items that are remembered one by one
START = "start"
_LARGEST = 64 * 1024 * 1024  # bytes of a listing, inflated


@dataclass(frozen=True, slots=True)
class SyncCursor:
    token: str
    count: int  # items in the collection, at least; exact while ``known`` is
    known: frozenset[int] | None  # checksums of all ids; None: too many

    def after(
        self, token: str, changed: Sequence[Ref], gone: Iterable[Gone], *, new: bool = False
    ) -> "SyncCursor":
        """The next one. ``new``: the changed items are known not to have been counted before."""
        deleted = {checksum(item.id) for item in gone}
        if self.known is not None:
            known = (self.known | {checksum(item.id) for item in changed}) - deleted
            return SyncCursor(token, len(known), known if len(known) <= FEW else None)
        if new:
            return SyncCursor(token, self.count + len(changed), None)
        return SyncCursor(token, max(self.count - len(deleted), len(changed)), None)


@dataclass(frozen=True, slots=True)
class CtagCursor:
    ctag: str  # empty: the server has none
    versions: Mapping[str, str]  # id -> checksum of its version


Known: TypeAlias = SyncCursor | CtagCursor | None


def checksum(item: str) -> int:
    return zlib.crc32(item.encode())


def fingerprint(version: str) -> str:
    return base64.b64encode(blake2b(version.encode(), digest_size=6).digest()).decode()


def encode(cursor: Known) -> str:
    match cursor:
        case None:
            return START
        case SyncCursor(token, count, known):
            return f"sync 1 {count} {_sums(known)} {token}"
        case CtagCursor(ctag, versions):
            lines = "".join(f"{quote(item, safe=' @')}\n{mark}\n" for item, mark in sorted(versions.items()))
            packed = base64.b64encode(zlib.compress(lines.encode(), 6)).decode()
            return f"ctag 1 {quote(ctag, safe='')}- {packed}"


def decode(text: str) -> Known:
    """Raises CursorExpired for what another version of us, or somebody else, has written."""
    try:
        match text.split(" ", 2):
            case ["start"]:
                return None
            case ["sync", "1", rest]:
                count, sums, token = rest.split(" ", 2)
                return SyncCursor(token, int(count), _known(sums))
            case ["ctag", "1", rest]:
                ctag, packed = rest.split(" ")
                return CtagCursor(unquote(ctag.removesuffix("-")), _versions(packed))
    except (ValueError, zlib.error) as error:
        raise CursorExpired("the stored cursor cannot be read; everything is listed again") from error
    raise CursorExpired("the stored cursor is of an unknown kind; everything is listed again")


def _sums(known: frozenset[int] | None) -> str:
    if known is None:
        return "-"
    return "." + base64.b64encode(b"".join(n.to_bytes(4, "big") for n in sorted(known))).decode()


def _known(sums: str) -> frozenset[int] | None:
    if sums == "-":
        return None
    raw = base64.b64decode(sums[1:], validate=True)
    return frozenset(int.from_bytes(raw[at : at + 4], "big") for at in range(0, len(raw), 4))


def _versions(packed: str) -> Mapping[str, str]:
    inflate = zlib.decompressobj()
    lines = inflate.decompress(base64.b64decode(packed, validate=True), _LARGEST).decode().split("\n")[:-1]
    if not inflate.eof:
        raise ValueError("cut off, or too large")
    return {unquote(item): mark for item, mark in zip(lines[::2], lines[1::2], strict=True)}
