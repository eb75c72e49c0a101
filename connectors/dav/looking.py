"""What stands on the server after a group of writes, as far as it matters: texts that were taken, and doubtful steps.

A server may rewrite what it takes, so texts are read back. Most of a first sync is links alone, written onto items that
the server has delivered itself. A server that names a version in its answer has kept the text to the letter (RFC 9110,
9.3.4); where it has shown that this is so, only the first link of a group is read back, for whether it still is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from crmsync.connectors.contract import Gone, Hidden, Record, Ref
from crmsync.connectors.dav.habits import Habits
from crmsync.connectors.dav.reading import Found, Reader
from crmsync.connectors.dav.verdict import Erase, Put, Sent, Step

Answered: TypeAlias = tuple[Step, Sent]


@dataclass(frozen=True, slots=True)
class After:
    items: Mapping[str, Found] = field(default_factory=dict)
    versions: Mapping[str, Ref | Gone | Hidden] = field(default_factory=dict)


class Looking:
    def __init__(self, reader: Reader, habits: Habits) -> None:
        self._reader = reader
        self._habits = habits

    def back(self, steps: Sequence[Answered]) -> After:
        """What is left out stands as it was sent, by all that is known of the server. Raises ConnectorError."""
        texts = [p for p, answer in steps if isinstance(p, Put) and (answer.taken or answer.doubtful)]
        doomed = [p.id for p, answer in steps if isinstance(p, Erase) and answer.doubtful]
        left_out = _stamps(steps)[1:] if self._habits.keeps_stamps else []
        there = self._look(texts, without={p.id for p in left_out})
        if not self._keeps(steps, there):
            there |= self._look(left_out)
        return After(there, {found.id: found for found in self._reader.versions(doomed)})

    def _look(
        self, puts: Sequence[Put], without: frozenset[str] | set[str] = frozenset()
    ) -> dict[str, Found]:
        some = [p for p in puts if p.id not in without]
        meant = {p.id: p.meant for p in some if isinstance(p.meant, Record)}
        return {found.id: found for found in self._reader.look([p.id for p in some], meant)}

    def _keeps(self, steps: Sequence[Answered], there: Mapping[str, Found]) -> bool:
        """By the stamps that were looked at; where there are none, as before."""
        named = {p.id: answer.etag for p, answer in steps}
        looked = [p for p in _stamps(steps) if p.id in there]
        if looked:
            self._habits.keeps_stamps = all(_as_sent(p, named[p.id], there[p.id]) for p in looked)
        return self._habits.keeps_stamps


def _stamps(steps: Sequence[Answered]) -> list[Put]:
    """Links alone, which the server has taken, and named the version of what it has now."""
    return [
        p
        for p, answer in steps
        if isinstance(p, Put) and p.expected and isinstance(p.meant, Record) and answer.taken and answer.etag
    ]


def _as_sent(put: Put, etag: str, found: Found) -> bool:
    meant = put.meant
    if not isinstance(found, Record) or not isinstance(meant, Record):
        return False
    return (found.version, found.native) == (etag, meant.native)
