"""What a person wants of a mailbox on an IMAP server."""

from dataclasses import dataclass

from crmsync.connectors.imap import wire
from crmsync.connectors.mail import settings


@dataclass(frozen=True, slots=True)
class Settings(settings.Settings):
    keyword: str = ""  # the IMAP keyword that stands for the tag; empty: ``$`` and the tag

    def keyword_for(self, tag: str) -> str:
        if tag.casefold() == self.tag.casefold() and self.keyword:
            return self.keyword
        return "$" + "".join(c if c.isascii() and c.isalnum() else "_" for c in tag)

    @property
    def own(self) -> str:
        return self.keyword_for(self.tag)

    def is_category(self, flag: str) -> bool:
        """Whether a flag is a word of the person's, not one of the programme's."""
        return not flag.startswith(("\\", "$")) and flag.casefold() not in (
            self.own.casefold(),
            *wire.TECHNICAL,
        )
