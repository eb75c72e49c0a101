"""What shall go wrong on a memory server, and when. Deterministic: everything is counted, nothing is random.

The server's every operation passes ``before`` (nothing has happened yet) and ``after`` (it has happened, and the answer
is on its way). An exception raised in ``after`` is the nastiest failure of a network: applied, and the answer lost.
Subclass and override the two for anything that ``fail`` cannot say: a colleague who edits in the middle of an update,
a failure drawn by a property test.

Operations, and their detail: ``identity`` and ``collections`` (empty), ``changes``, ``listing``, ``fetch``, ``search``,
``access``, ``selected``, ``apply`` (id of the collection; once for each page or batch), ``create`` (the key),
``update`` and ``delete`` (the item's id), ``user_id`` (the name), ``acknowledge`` (id of the collection).
"""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from crmsync.connectors.contract import Create, Done, Outcome, Write
from crmsync.connectors.errors import ConnectorError

ALWAYS = sys.maxsize


@dataclass(slots=True)
class _Failure:
    operation: str
    error: ConnectorError
    after: bool
    detail: str  # empty: any
    skip: int  # this many go well first
    times: int

    def strikes(self, operation: str, detail: str, after: bool) -> bool:
        if operation != self.operation or after != self.after or self.detail not in ("", detail):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return self.times >= 0


@dataclass(slots=True)
class _Answer:
    item: str
    make: Callable[[str], Outcome]
    times: int
    applied: bool


class Faults:
    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()  # operations begun so far
        self.empty_listings = 0  # this many complete listings come back empty, as if all were well
        self.postponed = False  # writes stand in a copy only, and do not get to the server while this is so
        self._failures: list[_Failure] = []
        self._answers: list[_Answer] = []

    def fail(
        self,
        operation: str,
        error: ConnectorError,
        *,
        after: bool = False,
        detail: str = "",
        skip: int = 0,
        times: int = 1,
    ) -> None:
        """Raise ``error`` the next ``times`` times that ``operation`` happens, once ``skip`` of them have gone well."""
        self._failures.append(_Failure(operation, error, after, detail, skip, times))

    def answer(
        self, item: str, make: Callable[[str], Outcome], *, times: int = 1, applied: bool = False
    ) -> None:
        """Answer writes to ``item`` (an id, or the key of a create) with an outcome of the test's own making, such as
        ``lambda id: Refused(id, "too_long", "…")``, and write nothing; with ``applied``, write it nonetheless, as a
        server does that fails when all is done."""
        self._answers.append(_Answer(item, make, times, applied))

    def clear(self) -> None:
        """Everything works again."""
        self._failures.clear()
        self._answers.clear()
        self.empty_listings = 0

    # what the server and the connector call

    def before(self, operation: str, detail: str) -> None:
        self.calls[operation] += 1
        self._strike(operation, detail, after=False)

    def after(self, operation: str, detail: str) -> None:
        self._strike(operation, detail, after=True)

    def planted(self, item: str, *, applied: bool = False) -> Outcome | None:
        for answer in self._answers:
            if answer.item == item and answer.applied is applied and answer.times > 0:
                answer.times -= 1
                return answer.make(item)
        return None

    def kept_back(self, write: Write) -> Outcome | None:
        """What a copy answers that stands before the server; None where the write goes through to it."""
        target = write.key if isinstance(write, Create) else write.id
        return Done(target, "", provisional=True) if self.postponed else None

    def empties(self) -> bool:
        """Whether the complete listing that begins now pretends that there is nothing."""
        if self.empty_listings == 0:
            return False
        self.empty_listings -= 1
        return True

    def _strike(self, operation: str, detail: str, *, after: bool) -> None:
        for failure in self._failures:
            if failure.strikes(operation, detail, after):
                raise failure.error
