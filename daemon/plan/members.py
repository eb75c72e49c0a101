"""A list whose members are merged each by itself (``columns.Column.each``): who is asked to a meeting.

A member has a name (an address) and perhaps a word (the answer). The CRM holds those it knows, so that a member it does
not show need not have been taken out there. What becomes of one, by what the snapshot says of each side (was), and what
stands there (is):

| ECS was, is | CRM was, is | becomes |
| --- | --- | --- |
| -, a | any, - | asked in the calendar: offered to the CRM |
| a, - | any, a | taken out in the calendar: and in the CRM |
| -, - | -, a | added in the CRM: and in the calendar, unless somebody has left there (an address that is changed on a
  contact looks like one that left and one that came) |
| a, a | a, - | gone from the CRM (a contact was deleted, or has another address): stays in the calendar |
| a, a | -, - | not known to the CRM: offered again once it is |
| a!, a? | any, a | answered: the word goes to the CRM; none ever comes from it |
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from crmsync.connectors.columns import entry, member
from crmsync.connectors.contract import Value

People = Mapping[str, str]  # word by name


@dataclass(frozen=True, slots=True)
class Members:
    """What shall stand on each side."""

    ecs: People
    crm: People  # as far as it can hold them
    offered: frozenset[str]  # names that the CRM does not show, and is asked to
    added: frozenset[str]  # names that are new on the ECS side


def people(value: Value) -> dict[str, str]:
    given = (member(each) for each in value if isinstance(each, str)) if isinstance(value, tuple) else ()
    return {name: word for name, word in given if name}


def listed(some: People) -> Value:
    return tuple(sorted(entry(name, word) for name, word in some.items())) or None


def merged(
    ecs_was: People, ecs: People, crm_was: People, crm: People, come: Set[str] = frozenset()
) -> Members:
    """``come``: names that the CRM has come to know."""
    left = crm_was.keys() - crm.keys()
    new = frozenset(n for n in crm if n not in crm_was and n not in ecs and n not in ecs_was)
    added = frozenset() if left & ecs.keys() else new
    offered = frozenset(n for n in ecs if n not in crm and (n not in ecs_was or n in come))
    stays = {n: word for n, word in crm.items() if n not in ecs and n not in ecs_was}
    both = {n: ecs[n] if ecs_was.get(n) != ecs[n] else crm[n] for n in ecs.keys() & crm.keys()}
    return Members(
        ecs={**ecs, **{n: crm[n] for n in added}},
        crm={**stays, **both, **{n: ecs[n] for n in offered}},
        offered=offered,
        added=added,
    )
