"""A message wherever it stands: one item, however many copies a mailbox holds. Pure, and the same on every protocol."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Generic, Protocol, TypeVar

from crmsync.connectors.contract import Value
from crmsync.connectors.mail.settings import Settings

OPEN, COMPLETED = "in_progress", "completed"


class Copy(Protocol):
    """One place where a message stands."""

    @property
    def folder(self) -> str: ...

    @property
    def filed(self) -> bool:
        """In the folder of what is tagged, or below it."""

    @property
    def regarding(self) -> str | None:
        """What that folder says."""


C = TypeVar("C", bound=Copy)


class Standing(ABC, Generic[C]):
    def __init__(self, copies: Sequence[C], settings: Settings) -> None:
        self.copies = tuple(copies)
        self._settings = settings

    @abstractmethod
    def _is_marked(self, copy: C) -> bool:
        """It bears the tag itself."""

    @abstractmethod
    def _is_flagged(self, copy: C) -> bool: ...

    @abstractmethod
    def _words(self, copy: C) -> Sequence[str]:
        """Categories, the tag not among them."""

    @cached_property
    def marked(self) -> tuple[C, ...]:
        """Tagged; these count, if there are any."""
        return tuple(c for c in self.copies if c.filed or self._is_marked(c))

    @property
    def tagged(self) -> bool:
        return bool(self.marked)

    @property
    def telling(self) -> tuple[C, ...]:
        return self.marked or self.copies

    @property
    def filed(self) -> tuple[C, ...]:
        return tuple(c for c in self.copies if c.filed)

    @property
    def tags(self) -> frozenset[str]:
        others = frozenset(self.categories())
        return others | {self._settings.tag} if self.tagged else others

    def categories(self) -> tuple[str, ...]:
        words = {word for copy in self.telling for word in self._words(copy)}
        return tuple(sorted(w for w in words if w))

    def status(self) -> str:
        """Flagged means that something is left to do, in every mail programme."""
        return OPEN if any(self._is_flagged(c) for c in self.telling) else COMPLETED

    def shown(self) -> dict[str, Value]:
        columns: dict[str, Value] = {"status": self.status(), "categories": self.categories() or None}
        if filed := self.filed:
            columns["regarding"] = next((c.regarding for c in filed if c.regarding), None)
        elif self._settings.file:
            columns["regarding"] = None
        return columns  # without ``regarding`` where no folder says anything of it: no opinion

    @property
    def version(self) -> str:
        """What it shows beside its content, which cannot change."""
        text = repr((self.tagged, sorted(self.shown().items()), sorted(self.tags)))
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:20]
