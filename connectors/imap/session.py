"""The commands of IMAP that are needed, on an open connection: values in, values out.

What the library has no word for (``LIST … RETURN (STATUS …)``, ``SEARCH RETURN``, ``UNCHANGEDSINCE``, numbers by range)
is sent as it stands in the RFCs, and its parser reads the answers.
"""

import contextlib
import imaplib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from imapclient.exceptions import IMAPClientAbortError, IMAPClientError
from imapclient.imap_utf7 import decode as decode_utf7
from imapclient.imap_utf7 import encode as encode_utf7
from imapclient.response_parser import parse_fetch_response, parse_response

from crmsync.connectors.imap import wire
from crmsync.connectors.told import brief

T = TypeVar("T")
_MESSAGE_ID = b"BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"
_STATUS = ("UIDVALIDITY", "UIDNEXT", "MESSAGES")


class Refusal(Exception):
    """The server says NO to one command."""


@dataclass(frozen=True, slots=True)
class Folder:
    name: str
    flags: frozenset[str] = frozenset()  # in lower case, as \\noselect, \\trash
    separator: str = "/"


@dataclass(frozen=True, slots=True)
class Status:
    """How a folder stands; equal to an earlier one: nothing has changed, if there is a ``modseq``."""

    validity: int
    next: int  # the number that the next message gets
    count: int
    modseq: int = 0  # 0: the server keeps none for this folder


@dataclass(frozen=True, slots=True)
class Seen:
    """What one message shows without being opened."""

    uid: int
    flags: frozenset[str]
    header: bytes = b""  # of which its identity is read


@dataclass(frozen=True, slots=True)
class Whole:
    uid: int
    flags: frozenset[str]
    data: bytes
    size: int  # of the whole message; ``data`` may be its beginning
    arrived: datetime | None


class Session:
    """The connection, for as long as it is needed. ``count`` is called for each command."""

    def __init__(self, connection: Any, count: Callable[[], None]) -> None:
        self._connection = connection
        self._count = count

    def can(self, capability: str) -> bool:
        return bool(self._connection.has_capability(capability))

    # ── Folders ──────────────────────────────────────────────────────────────────────────────────────────────

    def namespaces(self) -> tuple[list[str], list[str]]:
        """Prefixes of the own folders, and of those that others share."""
        if not self.can("NAMESPACE"):
            return [""], []
        found = self._call(lambda c: c.namespace())
        own = [prefix for prefix, _ in found.personal or ()]
        return own or [""], [prefix for kind in (found.other, found.shared) for prefix, _ in kind or ()]

    def folders(self) -> tuple[list[Folder], dict[str, Status]]:
        """Every folder, and how each stands where the server says so in one answer (RFC 5819)."""
        self._leave()
        if not self.can("LIST-STATUS"):
            return [_folder(*f) for f in self._call(lambda c: c.list_folders())], {}
        wanted = f"({' '.join(self._items())})"
        special = "SPECIAL-USE " if self.can("SPECIAL-USE") else ""
        lines = self._untagged(
            lambda imap: imap._simple_command("LIST", '""', '"*"', "RETURN", f"({special}STATUS {wanted})"),
            "LIST",
            "STATUS",
        )
        listed = [_listed(line) for line in _joined(lines["LIST"])]
        return [f for f in listed if f is not None], dict(_status_line(s) for s in _joined(lines["STATUS"]))

    def _leave(self) -> None:
        """Of the folder that is open, STATUS may say how it was when we last looked (RFC 9051 6.3.11; Dovecot 2.3)."""
        if self._connection._imap.state == "SELECTED":
            self._call(lambda c: c.unselect_folder() if self.can("UNSELECT") else c.noop())

    def status(self, name: str) -> Status:
        items = self._items()
        return _status(self._call(lambda c: c.folder_status(name, items)))

    def _items(self) -> tuple[str, ...]:
        return (*_STATUS, "HIGHESTMODSEQ") if self.can("CONDSTORE") else _STATUS

    def examine(self, name: str) -> Status:
        """Open to look at: nothing is marked as seen, nor as recent."""
        return self._open(name, readonly=True)

    def select(self, name: str) -> Status:
        return self._open(name, readonly=False)

    def _open(self, name: str, *, readonly: bool) -> Status:
        found = self._call(lambda c: c.select_folder(name, readonly=readonly))
        return Status(
            int(found[b"UIDVALIDITY"]),
            int(found.get(b"UIDNEXT", 0)),
            int(found.get(b"EXISTS", 0)),
            _first(found.get(b"HIGHESTMODSEQ", 0)),
        )

    def may_mark(self, name: str) -> bool:
        """Whether this login may set keywords there (RFC 4314 4, ``w``); also where nobody says."""
        if not self.can("ACL"):
            return True
        mailbox = b'"' + encode_utf7(name).replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        try:
            lines = self._untagged(
                lambda imap: imap._simple_command("MYRIGHTS", mailbox.decode("ascii")), "MYRIGHTS"
            )
        except Refusal:
            return True
        told = [line.split()[-1] for line in lines["MYRIGHTS"] if isinstance(line, bytes) and line.split()]
        return not told or b"w" in told[-1].strip(b'"')

    def create(self, name: str) -> None:
        self._call(lambda c: c.create_folder(name))
        with contextlib.suppress(Refusal):
            self._call(lambda c: c.subscribe_folder(name))

    # ── Messages of the open folder ──────────────────────────────────────────────────────────────────────────

    def search(self, *criteria: bytes) -> set[int]:
        if not self.can("ESEARCH"):
            return set(self._call(lambda c: c.search(b" ".join(criteria).decode("ascii"))))
        arguments = [b"RETURN", b"(ALL)", *criteria]
        lines = self._untagged(lambda imap: self._connection._raw_command(b"SEARCH", arguments), "ESEARCH")
        return wire.esearch(line for line in lines["ESEARCH"] if isinstance(line, bytes))

    def look(self, uids: Iterable[int], *, since: int = 0, named: bool = True) -> list[Seen]:
        """Flags, and the headers that tell messages apart; ``since``: only of those that changed after."""
        wanted = b"(UID FLAGS %s)" % _MESSAGE_ID if named else b"(UID FLAGS)"
        found = self._fetch(uids, wanted, b"(CHANGEDSINCE %d)" % since if since else b"")
        return [Seen(uid, _flags(answer), _body(answer)) for uid, answer in found.items()]

    def headers(self, uids: Iterable[int], names: bytes) -> dict[int, bytes]:
        found = self._fetch(uids, b"(UID BODY.PEEK[HEADER.FIELDS (%s)])" % names)
        return {uid: _body(answer) for uid, answer in found.items()}

    def whole(self, uid: int, limit: int) -> Whole | None:
        """A message, up to ``limit`` bytes; None: it is not there any more."""
        wanted = b"(UID FLAGS RFC822.SIZE INTERNALDATE BODY.PEEK[]<0.%d>)" % limit
        answer = self._fetch([uid], wanted).get(uid)
        if answer is None or b"RFC822.SIZE" not in answer:
            return None
        arrived = answer.get(b"INTERNALDATE")
        moment = arrived.astimezone() if isinstance(arrived, datetime) else None
        return Whole(uid, _flags(answer), _body(answer), int(answer[b"RFC822.SIZE"]), moment)

    def _fetch(
        self, uids: Iterable[int], wanted: bytes, *modifiers: bytes
    ) -> Mapping[int, Mapping[bytes, Any]]:
        """By ranges: the library would write out every number."""
        asked = set(uids)
        if not asked:
            return {}
        arguments = [wire.sequence(asked), wanted, *(m for m in modifiers if m)]
        lines = self._untagged(lambda imap: self._connection._raw_command(b"FETCH", arguments), "FETCH")
        found = parse_fetch_response(lines["FETCH"], normalise_times=True, uid_is_key=True)
        return {uid: answer for uid, answer in found.items() if uid in asked}  # others come uncalled for

    def mark(self, uids: Iterable[int], sign: str, flags: Iterable[str], *, since: int = 0) -> bool:
        """Set (``+``) or take away (``-``) flags; False: one of them has changed after ``since``, and was left."""
        some, wanted = wire.sequence(uids), sorted(flags)
        if not some or not wanted:
            return True
        guard = [b"(UNCHANGEDSINCE %d)" % since] if since and self.can("CONDSTORE") else []
        text = f"({' '.join(wanted)})".encode("ascii")
        arguments = [some, *guard, f"{sign}FLAGS.SILENT".encode(), text]
        lines = self._untagged(lambda imap: self._connection._raw_command(b"STORE", arguments), "MODIFIED")
        return not lines["MODIFIED"]

    def move(self, uid: int, folder: str) -> int:
        """The number that it has there; 0: the server does not say."""
        if self.can("MOVE"):
            return self._numbered("COPYUID", lambda c: c.move([uid], folder))
        there = self._numbered("COPYUID", lambda c: c.copy([uid], folder))
        self.remove(uid)
        return there

    def remove(self, uid: int) -> None:
        self._call(lambda c: c.add_flags([uid], [b"\\Deleted"], silent=True))
        self._call(lambda c: c.uid_expunge([uid]) if self.can("UIDPLUS") else c.expunge())

    def append(self, folder: str, data: bytes, flags: Sequence[str]) -> int:
        """The number that it has there; 0: the server does not say."""
        return self._numbered("APPENDUID", lambda c: c.append(folder, data, flags))

    def _numbered(self, code: str, do: Callable[[Any], object]) -> int:
        """What RFC 4315 adds to the answer, of one message."""
        told: dict[str, list[Any]] = self._connection._imap.untagged_responses
        told.pop(code, None)
        self._call(do)
        last = b" ".join(v for v in told.pop(code, []) if isinstance(v, bytes)).split(b" ")[-1]
        return int(last) if last.isdigit() else 0

    # ── One command ──────────────────────────────────────────────────────────────────────────────────────────

    def _call(self, do: Callable[[Any], T]) -> T:
        self._count()
        try:
            return do(self._connection)
        except imaplib.IMAP4.readonly as error:  # for the library one way of breaking off
            raise Refusal(reason(error)) from error
        except (IMAPClientAbortError, imaplib.IMAP4.abort):
            raise
        except (IMAPClientError, imaplib.IMAP4.error) as error:
            if re.search(r"failed: |\bNO\b|\bBAD\b|command error", str(error)):
                raise Refusal(reason(error)) from error
            raise

    def _untagged(self, send: Callable[[Any], tuple[Any, Any]], *names: str) -> dict[str, list[Any]]:
        """A command that the library has no word for, and what came of these names."""

        def do(client: Any) -> dict[str, list[Any]]:
            imap = client._imap
            for name in names:
                imap.untagged_responses.pop(name, None)
            answer, data = send(imap)
            if answer != "OK":
                raise IMAPClientError(f"NO {data!r:.200}")
            return {name: imap.untagged_responses.pop(name, []) for name in names}

        return self._call(do)


def cut(connection: Any) -> None:
    """End a connection that may have ended already: then the library leaves its socket open."""
    with contextlib.suppress(OSError, IMAPClientError, imaplib.IMAP4.error):
        connection.shutdown()
    with contextlib.suppress(OSError, AttributeError):
        connection._imap.sock.close()


def reason(error: BaseException) -> str:
    """Without the piece of a message that the library shows where an answer cannot be understood."""
    return brief(str(error)) or type(error).__name__


def _first(value: Any) -> int:
    return int(value[0] if isinstance(value, list | tuple) else value)


def _flags(answer: Mapping[bytes, Any]) -> frozenset[str]:
    found = answer.get(b"FLAGS", ())
    return frozenset(f.decode("ascii", "replace") if isinstance(f, bytes) else str(f) for f in found)


def _body(answer: Mapping[bytes, Any]) -> bytes:
    found = next((v for k, v in answer.items() if k.startswith(b"BODY[")), b"")
    return found if isinstance(found, bytes) else b""


def _status(found: Mapping[bytes, Any]) -> Status:
    return Status(
        int(found.get(b"UIDVALIDITY", 0)),
        int(found.get(b"UIDNEXT", 0)),
        int(found.get(b"MESSAGES", 0)),
        _first(found.get(b"HIGHESTMODSEQ", 0)),
    )


def _folder(flags: Iterable[bytes], separator: bytes | None, name: str) -> Folder:
    told = frozenset(f.decode("ascii", "replace").lower() for f in flags)
    return Folder(name, told, (separator or b"/").decode("ascii", "replace"))


def _joined(lines: Iterable[Any]) -> Iterator[list[Any]]:
    """Untagged answers as the parser wants them: a name that came as a literal is a tuple, and what follows it."""
    pending: list[Any] = []
    for line in lines:
        if not line:
            continue
        pending.append(line)
        if isinstance(line, bytes):
            yield pending
            pending = []


def _listed(line: list[Any]) -> Folder | None:
    parsed = parse_response(line)
    if len(parsed) < 3 or not isinstance(parsed[0], tuple):
        return None
    return _folder(parsed[0], parsed[1], _name(parsed[2]))


def _status_line(line: list[Any]) -> tuple[str, Status]:
    name, items = parse_response(line)[:2]
    return _name(name), _status(dict(zip(items[0::2], items[1::2], strict=False)))


def _name(raw: object) -> str:
    return decode_utf7(raw) if isinstance(raw, bytes) else str(raw)
