"""What a write brings along in other objects: a file's document and where it is seen, a comment on a case.

Sources: Salesforce's Object Reference, pages ContentVersion, ContentDocumentLink and Case.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import sqlalchemy as sa

from crmsync.state.replica.drafts import Draft

__all__ = ["Writing", "follow"]

_OF_BOTH = ("Title", "Description", "ContentSize", "FileType", "FileExtension", "ContentModifiedDate")


class Writing(Protocol):
    """Writes rows that nobody asked for by themselves; whose rights allow them is known by then."""

    def make(self, name: str, **values: Any) -> str:
        """A new record of that object; its id."""

    def put(self, name: str, condition: Callable[[Any], Any], **values: Any) -> None:
        """Into the records that the condition on the table's columns finds."""

    def count(self, name: str, condition: Callable[[Any], Any]) -> int: ...


def follow(writing: Writing, drafts: Iterable[Draft]) -> None:
    """After the rows of `drafts` were written."""
    for draft in drafts:
        consequence = _CONSEQUENCES.get(draft.checked_type().name)
        if consequence is not None:
            consequence(writing, draft)


def _version(writing: Writing, draft: Draft) -> None:
    row, document = draft.row, draft.row["ContentDocumentId"]
    if draft.before is None:
        number = 1
        if document is None:
            document = _document(writing, row)
        else:
            number += writing.count("ContentVersion", lambda c: _numbered(c, document))
            writing.put("ContentVersion", lambda c: c.ContentDocumentId == document, IsLatest=False)
        new = {"ContentDocumentId": document, "VersionNumber": str(number), "IsLatest": True}
        writing.put("ContentVersion", lambda c: c.Id == draft.id, **new)
        row |= new
    if row["IsLatest"]:
        shown = {name: row[name] for name in _OF_BOTH}
        writing.put("ContentDocument", lambda c: c.Id == document, LatestPublishedVersionId=draft.id, **shown)


def _numbered(columns: Any, document: str) -> sa.ColumnElement[bool]:
    """Rows of the same request are there already, without a number."""
    return sa.and_(columns.ContentDocumentId == document, columns.VersionNumber.is_not(None))


def _document(writing: Writing, row: Mapping[str, Any]) -> str:
    """It is its owner's, and seen where it was to be published first."""
    owner, place = row["OwnerId"], row["FirstPublishLocationId"]
    document = writing.make("ContentDocument", OwnerId=owner, Title=row["Title"])
    writing.make("ContentDocumentLink", LinkedEntityId=owner, ContentDocumentId=document, ShareType="I")
    if place not in (None, owner):
        writing.make("ContentDocumentLink", LinkedEntityId=place, ContentDocumentId=document, ShareType="V")
    return document


def _comment(writing: Writing, draft: Draft) -> None:
    """`Comments` of a case is no field that keeps anything: each becomes a comment of its own."""
    said = draft.row.get("Comments")
    if said:
        writing.make("CaseComment", ParentId=draft.id, CommentBody=said)
        writing.put("Case", lambda c: c.Id == draft.id, Comments=None)


_CONSEQUENCES: dict[str, Callable[[Writing, Draft], None]] = {"ContentVersion": _version, "Case": _comment}
