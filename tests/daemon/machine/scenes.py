"""What is going on when the service dies: small stories, each of which ends in one sync (or in one undo).

``prepare`` brings a new house to the moment before. The same few names everywhere: by them, a person is known on every
side and in every run, whatever ids the servers give.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from crmsync.connectors.contract import Value
from crmsync.connectors.memory.native import Item
from tests.daemon.machine.house import House


@dataclass(frozen=True, slots=True)
class Scene:
    prepare: Callable[[House], None]
    act: Callable[[House], object] = lambda house: house.engine.sync()
    repeated: bool = False  # a person asks for it, and does so again when it was interrupted
    later: bool = (
        False  # and not before the service has synced in between: what people did just then is in step by now
    )
    books: Sequence[str] = ("Contacts",)


def there(house: House, server: str, name: str) -> Item:
    return next(i for i in house.items(server) if i.columns["first_name"] == name)


def _card(house: House, name: str, *, tag: bool = True, **more: Value) -> None:
    house.person(name, f"of {name}", tag, phone_mobile="+49 (30) 555-1001", **more)


def _record(house: House, name: str, **more: Value) -> None:
    house.record(name, f"of {name}", phone_mobile="+49 (30) 555-1002", **more)


def _edit(house: House, server: str, name: str, **columns: Value) -> None:
    house.servers[server].edit(there(house, server, name).id, columns)


def _met(house: House, *names: str) -> None:
    """These stand on both sides already, in step."""
    for name in names:
        _card(house, name, company="Company of all", department="Department of all")
    house.sync()
    house.sync()  # where no versions are told, what was written is looked at once more
    house.clock.tick()


# ── The moments before ───────────────────────────────────────────────────────────────────────────────────────


def _first_sync(house: House) -> None:
    _card(house, "Ada", job_title="Countess of Lovelace")
    _card(house, "Bea", job_title="on both sides, unknown to each other")
    _record(house, "Bea", department="and with more in the CRM")
    _card(house, "Cid", tag=False)
    _record(house, "Grace", department="Navy of the States")


def _creates(house: House) -> None:
    _met(house, "Zoe")
    _card(house, "Ada", job_title="Countess of Lovelace", company="Analytical Engines")
    _record(house, "Grace", department="Navy of the States", company="Harvard University")


def _updates(house: House) -> None:
    _met(house, "Ada", "Grace")
    _edit(house, "alice", "Ada", job_title="Countess of Lovelace", phone_mobile="+49 (30) 555-2001")
    _edit(house, "crm", "Grace", department="Navy of the States", job_title="Admiral")


def _conflict(house: House) -> None:
    _met(house, "Ada", "Grace")
    _edit(house, "alice", "Ada", job_title="first on the ECS side", department="last on the ECS side")
    _edit(house, "crm", "Grace", job_title="first in the CRM")
    house.clock.tick()
    _edit(house, "crm", "Ada", job_title="last in the CRM")
    _edit(house, "alice", "Grace", job_title="last on the ECS side")


def _deletes(house: House) -> None:
    _met(house, "Ada", "Grace", "Zoe")
    house.ecs.delete(there(house, "alice", "Ada").id)
    house.crm.delete(there(house, "crm", "Grace").id)


def _untag(house: House) -> None:
    _met(house, "Ada", "Grace")
    house.ecs.untag(there(house, "alice", "Ada").id, "CRM")
    _edit(house, "crm", "Ada", job_title="edited, but of no concern any more")
    house.ecs.untag(there(house, "alice", "Grace").id, "CRM")
    house.clock.tick()
    house.engine.sync()
    house.clock.tick()
    house.ecs.tag(there(house, "alice", "Grace").id, "CRM")


def _move(house: House) -> None:
    _met(house, "Ada", "Grace")
    house.ecs.move(there(house, "alice", "Ada").id, house.second)
    house.ecs.move(there(house, "alice", "Grace").id, house.second)
    _edit(house, "alice", "Ada", job_title="Countess, moved")
    _edit(house, "crm", "Grace", job_title="Admiral, while it was moved")


def _recreate(house: House) -> None:
    """Gone on one side, edited on the other: the edit wins."""
    _met(house, "Ada", "Grace")
    house.ecs.delete(there(house, "alice", "Ada").id)
    _edit(house, "crm", "Ada", job_title="edited in the CRM")
    house.crm.delete(there(house, "crm", "Grace").id)
    _edit(house, "alice", "Grace", job_title="edited on the ECS side")


def _done(house: House) -> None:
    """A cycle that wrote everything there is to write, for an undo."""
    _met(house, "Ada", "Grace", "Bea", "Dan")
    _edit(house, "alice", "Ada", job_title="Countess of Lovelace")
    _edit(house, "crm", "Grace", job_title="Admiral")
    house.ecs.delete(there(house, "alice", "Bea").id)
    house.crm.delete(there(house, "crm", "Dan").id)
    _record(house, "Eve", department="new in the CRM")
    house.sync()
    house.clock.tick()


def _undo(house: House) -> object:
    with house.state.reading() as tx:
        cycles = sorted(c.id for c in tx.cycles.recent("alice", 100))
        cycle = next(c for c in cycles if any(e.column for e in tx.history.of_cycle(c)))
    return house.engine.undo(cycle)


SCENES: Mapping[str, Scene] = {
    "first sync": Scene(_first_sync),
    "creates both ways": Scene(_creates),
    "updates both ways": Scene(_updates),
    "conflict": Scene(_conflict),
    "deletes both ways": Scene(_deletes),
    "untag and tag again": Scene(_untag),
    "move": Scene(_move, books=("Contacts", "Private")),
    "recreate": Scene(_recreate),
    "undo": Scene(_done, _undo, repeated=True),
    "undo, and later again": Scene(_done, _undo, repeated=True, later=True),
}
