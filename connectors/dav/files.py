"""Files that come with an item: which of them travel, and where the others are said to stay."""

from collections.abc import Sequence
from dataclasses import dataclass

from crmsync.connectors.contract import Attachment
from crmsync.connectors.dav.client import Dav
from crmsync.connectors.dav.item import File
from crmsync.connectors.errors import ConnectorError, NotFound
from crmsync.connectors.files import decoded, named, size

MAX_ATTACHMENT = 5_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Files:
    dav: Dav
    largest: int = MAX_ATTACHMENT

    def carried(self, files: Sequence[File], stays: str = "") -> tuple[Attachment, ...]:
        """What travels of them; the others are named. ``stays``: why all of them are."""
        return tuple(self._carried(each, stays) for each in files)

    def _carried(self, file: File, stays: str) -> Attachment:
        limit, told = self.largest, f" ({size(file.size)})" if file.size is not None else ""
        near = file.inline or (file.managed and file.size is not None and self.dav.is_own(file.url))
        if file.size is not None and file.size > limit:
            stays = f"stays in the calendar{told}, because it is larger than {size(limit)}"
        elif not near:
            stays = stays or "stays where it is"
        if stays:
            return named(file.name, stays, self.dav.url(file.url) if file.url else "")
        return Attachment(file.name, file.type, file.size or 0, lambda: self._content(file))

    def _content(self, file: File) -> bytes:
        if file.inline:
            return decoded(file.inline)
        try:
            answer = self.dav.get(file.url, limit=self.largest)
        except ConnectorError as error:  # its URL holds its name
            raise type(error)("a file of the event cannot be read", retry_after=error.retry_after) from error
        if answer.status != 200:
            raise NotFound(f"the server answers {answer.status} when asked for a file of the event")
        return answer.body
