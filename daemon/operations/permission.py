"""Where the CRM's scheduler says when is exchanged: what that means for what a person asks for."""

from collections.abc import Mapping, Sequence
from typing import Any

CODE = "not_granted"
LATER = "It is carried out when the CRM's scheduler next asks for an exchange (crmsync exchange jobs)."
UNDO = (
    'nothing is written unless the CRM\'s scheduler has asked for it ([schedule] authority = "crm"), and it cannot ask '
    'for an undo; put the values right on one of the sides, or have IT set authority = "self" for the time of the undo'
)
REPLICA = (
    "a replica sends and fetches only when the CRM's scheduler asks for an exchange "
    '([schedule] authority = "crm"); what was changed in it waits for that'
)


def waits(pending: int) -> str:
    what = "1 change waits" if pending == 1 else f"{pending} changes wait"
    return f'{what} for the CRM\'s word: its scheduler says when is exchanged ([schedule] authority = "crm")'


def notices(accounts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of what ``status`` says: for whom something waits."""
    return [
        {"account": a["name"], "code": CODE, "message": waits(a["pending"])} for a in accounts if a["pending"]
    ]
