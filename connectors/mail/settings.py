"""What a person wants of a mailbox, whatever the protocol; the words of the configuration, without its file."""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Settings:
    tag: str = "CRM"  # what the account calls the tag
    folder: str = "CRM"  # what lies in it, or below, is tagged, too
    folders: tuple[str, ...] = ()  # where tagged mail is looked for; empty: in all of the mailbox's own
    # the person's own, in lower case: what comes from them is outgoing
    addresses: frozenset[str] = frozenset()
    attachment_limit: int = 5_000_000  # bytes; what is larger is named, and stays where it is
    track_answers: bool = False  # answers in a conversation that is tagged get the tag
    file: bool = False  # what the CRM says of a message outside of the folder moves it there
    delete_messages: bool = False  # what is deleted in the CRM goes to the trash; else it only loses its tag

    def seen_of(self, owner: str) -> Self:
        """Of somebody else's mailbox: outgoing is there what comes from its owner, whoever looks, and what is tagged by
        itself is the owner's to say. Empty: one's own."""
        if "@" not in owner or owner.lower() in self.addresses:
            return self
        return replace(self, addresses=frozenset({owner.lower()}), track_answers=False)
