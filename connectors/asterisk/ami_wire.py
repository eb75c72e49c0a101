"""Asterisk's Manager Interface: a greeting, then blocks of ``Name: value`` lines, each ended by an empty one. Pure."""

from collections.abc import Iterator, Mapping

from crmsync.connectors.errors import ProtocolError

LARGEST = 256 * 1024  # bytes of one block


class Blocks:
    """Bytes in, blocks out."""

    def __init__(self) -> None:
        self._held = b""
        self._greeted = False

    def feed(self, data: bytes) -> Iterator[Mapping[str, str]]:
        """Raises ProtocolError: after that nothing can be made of the connection."""
        self._held += data
        if not self._greeted:
            if b"\n" not in self._held:
                self._check()
                return
            greeting, _, self._held = self._held.partition(b"\n")
            if not greeting.startswith(b"Asterisk Call Manager"):
                raise ProtocolError("what answers there is no Asterisk Manager Interface")
            self._greeted = True
        while b"\r\n\r\n" in self._held:
            block, _, self._held = self._held.partition(b"\r\n\r\n")
            yield _fields(block)
        self._check()

    def _check(self) -> None:
        if len(self._held) > LARGEST:
            raise ProtocolError("Asterisk sent a message that does not end")


def _fields(block: bytes) -> Mapping[str, str]:
    """The first of those that stand there twice; a line that is none is left out."""
    fields: dict[str, str] = {}
    for line in block.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), value.strip())
    return fields


def block(fields: Mapping[str, str]) -> bytes:
    """An action. Raises ValueError for what would be more lines than one."""
    if any(c in text for pair in fields.items() for text in pair for c in "\r\n\0"):
        raise ValueError("a line of an action cannot have more than one")
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode() + b"\r\n"
