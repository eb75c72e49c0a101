"""What the stages of a pass share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from threading import Lock

from crmsync.daemon.replica.upstream import Upstream
from crmsync.state.replica.local.database import LocalDatabase
from crmsync.state.replica.local.difference import Policy
from crmsync.state.replica.local.shape import stored

__all__ = ["Context", "Progress", "Stage", "Tally", "naive"]


class Stage(StrEnum):
    """In the order in which a pass goes through them."""

    SESSION = "session"
    DESCRIBE = "describe"
    WINDOW = "window"
    DELETES = "deletes"
    MODIFIED = "modified"
    SERVER_DELETES = "server deletes"
    LOCAL_DELETES = "local deletes"
    CREATES = "creates"
    UPDATES = "updates"
    MOVE = "move"
    FINISH = "finish"


Progress = Callable[[Stage, str], None]  # a stage begins; or, with an object and a wave, goes on


@dataclass(slots=True)
class Tally:
    """What became of how many rows."""

    pulled: int = 0  # new or changed upstream
    removed: int = 0  # deleted upstream
    created: int = 0
    updated: int = 0
    deleted: int = 0
    converted: int = 0
    rejected: int = 0
    deferred: int = 0
    passes: int = 0
    requests: int = 0

    def written(self) -> int:
        return self.created + self.updated + self.deleted + self.converted

    def add(self, other: "Tally") -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass(slots=True)
class Context:
    database: LocalDatabase
    upstream: Upstream
    objects: Sequence[str]
    policy: Policy
    progress: Progress
    compare: timedelta = timedelta(days=1)  # between two comparisons of all ids
    workers: int = 4  # objects that are read at the same time
    wanted: Mapping[str, frozenset[str]] = field(default_factory=dict)  # of an object only these fields
    user: str = ""  # who we are upstream
    tally: Tally = field(default_factory=Tally)
    lock: Lock = field(default_factory=Lock)  # of the tally

    def enter(self, stage: Stage, what: str = "") -> None:
        self.progress(stage, what)

    def count(self, **counts: int) -> None:
        with self.lock:
            self.tally.add(Tally(**counts))

    def fields(self, name: str) -> list[str]:
        return [f.name for f in stored(self.database.tables.shapes.of(name))]


def naive(moment: datetime) -> datetime:
    """As the tables hold moments: UTC, whole seconds."""
    return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0)
