"""What waits for a person in the copies of CRMs.

A copy holds what its login may see, which is more than the person of an account need: its decisions are an admin's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import RedirectResponse, Response

from crmsync.daemon.calls import Failure
from crmsync.daemon.web.board import Board
from crmsync.daemon.web.site import Site, Visit

SHOWN = 200  # of each list
FIELD, WAS = "field.", "was."  # before the names of fields that may be edited
WHAT_NOW = "Choose what shall happen, then send the form again."
_CHOICES = ("local", "server", "value", "abandon")


class ReplicaDecisions:
    def __init__(self, site: Site, board: Board) -> None:
        self._site = site
        self._board = board

    async def lists(self, visit: Visit) -> dict[str, Any]:
        """For the page: `copies` is false where there are none, or not for this person."""
        nothing: dict[str, Any] = {"copies": False, "copies_failed": ""}
        if not visit.viewer.admin or not (await self._site.ask("replica_status"))["replicas"]:
            return nothing
        try:
            conflicts = await self._site.ask("replica_conflicts", undecided=True)
            rejected = await self._site.ask("replica_rejected")
        except Failure as error:  # the accounts' decisions have nothing to do with a copy that cannot be read
            return {**nothing, "copies_failed": error.message}
        more = {"copy_conflicts": len(conflicts) - SHOWN, "copy_rejected": len(rejected) - SHOWN}
        return {
            **nothing,
            "copies": True,
            "copy_conflicts": conflicts[:SHOWN],
            "copy_rejected": rejected[:SHOWN],
            "copies_more": {name: max(0, count) for name, count in more.items()},
        }

    async def conflict(self, visit: Visit) -> Response:
        if not visit.viewer.admin:
            return self._not_theirs(visit)
        form, choice = visit.form, visit.form.one("choice")
        if choice not in _CHOICES:
            raise Failure("choice", WHAT_NOW)
        asked = {"item": form.one("item"), "crm": form.one("crm"), "by": visit.by}
        if choice == "abandon":
            await self._site.ask("replica_abandon", **asked)
            return self._decided(visit, "copy_abandon", "to give up a change in a copy")
        chosen: dict[str, Any] = {"keep": choice} if choice != "value" else {"values": _given(form.fields)}
        await self._site.ask("replica_resolve", fields=form.all("of"), **chosen, **asked)
        return self._decided(visit, "resolved", f"a conflict in a copy ({choice})")

    async def rejected(self, visit: Visit) -> Response:
        if not visit.viewer.admin:
            return self._not_theirs(visit)
        verb = visit.form.one("verb")
        if verb not in ("retry", "abandon"):
            raise Failure("choice", WHAT_NOW)
        item, crm = visit.form.one("item"), visit.form.one("crm")
        await self._site.ask(f"replica_{verb}", item=item, crm=crm, by=visit.by)
        return self._decided(visit, f"copy_{verb}", f"a rejected change of a copy ({verb})")

    async def edit(self, visit: Visit) -> Response:
        """The form for a change that the CRM refused."""
        if not visit.viewer.admin:
            return self._not_theirs(visit)
        given = visit.request.query_params
        row = await self._site.ask("replica_fields", item=given.get("id", ""), crm=given.get("crm", ""))
        return self._site.show("amend_copy.html", visit, row=row)

    async def amend(self, visit: Visit) -> Response:
        if not visit.viewer.admin:
            return self._not_theirs(visit)
        form = visit.form
        was = {key.removeprefix(WAS): value for key, value in form.fields if key.startswith(WAS)}
        values = _given(form.fields, was)
        if name := form.one("name").strip():
            values.append(f"{name}={form.one('value')}")
        item, crm = form.one("item"), form.one("crm")
        await self._site.ask("replica_retry", item=item, crm=crm, values=values, by=visit.by)
        return self._decided(visit, "copy_retry", "a rejected change of a copy (edit)")

    def _not_theirs(self, visit: Visit) -> Response:
        self._site.refuse(visit.request, "a copy's decisions are an admin's", visit.viewer)
        return self._site.sorry(
            403, "What waits in a copy of the CRM is decided by your admin.", visit.session
        )

    def _decided(self, visit: Visit, done: str, what: str) -> Response:
        self._site.decided(visit, f"{what} of {visit.form.one('item')}")
        self._board.spoil()
        return RedirectResponse(f"/decisions?done={done}", 303)


def _given(fields: Sequence[tuple[str, str]], was: Mapping[str, str] | None = None) -> list[str]:
    """As the engine takes them; only those that are not what they were."""
    found = []
    for key, sent in fields:
        if key.startswith(FIELD):
            name, value = key.removeprefix(FIELD), sent.replace("\r\n", "\n")
            before = None if was is None else was.get(name, "").replace("\r\n", "\n")
            found += [f"{name}={value}"] if value != before else []
    return found
