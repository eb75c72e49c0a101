"""How a replica works: where it reads, where it writes, and what the network makes of that. Pure.

online   read there, written through; a record is read once more before it is changed
hybrid   read here, written through
offline  all of it here, sent later
auto     as hybrid, and as offline by itself while the CRM cannot be reached
"""

from enum import StrEnum

__all__ = ["AWAY", "Mode", "acting"]

AWAY = frozenset({"unreachable", "throttled"})  # codes of conversations: the CRM is not there for us now


class Mode(StrEnum):
    AUTO = "auto"
    ONLINE = "online"
    HYBRID = "hybrid"
    OFFLINE = "offline"


def acting(wanted: Mode, trouble: str) -> Mode:
    """`trouble`: the code of what the last conversation failed with; empty: it came through."""
    if wanted is not Mode.AUTO:
        return wanted
    return Mode.OFFLINE if trouble in AWAY else Mode.HYBRID
