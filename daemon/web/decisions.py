"""What waits for a person, and how they decide it: by the engine's own operations, as the command line does."""

import re
from collections.abc import Sequence
from typing import Any

from starlette.responses import RedirectResponse, Response

from crmsync.daemon.calls import Failure, Progress
from crmsync.daemon.web.board import Board
from crmsync.daemon.web.jobs import Jobs
from crmsync.daemon.web.replica_decisions import ReplicaDecisions
from crmsync.daemon.web.site import Site, Visit
from crmsync.daemon.web.words import full_name

SHOWN = 200  # of each list
DONE = {
    "resolved": "Your choice is noted.",
    "approved": "The deletions are approved.",
    "rejected": "The deletions are rejected: what is gone is put back.",
    "create": "It gets a partner of its own.",
    "ignore": "It is left alone from now on.",
    "retry": "It is tried again.",
    "back": "The decision is taken back.",
    "abandon": "This change is given up; the next edit of the item is synced again.",
    "copy_retry": "It is sent to the CRM again.",
    "copy_abandon": "The change in the copy is given up; its values stand in the conflict log.",
}
_REJECTED = {"retry": "reject_retry", "abandon": "reject_abandon"}
_MATCHES = {"create": "match_create", "ignore": "match_ignore"}
OTHERS = (
    "What is held is not what it was when you opened the page. Open it again, and look at all of it first."
)
COLUMN = "column."  # before the names of fields that may be edited
CYCLE = re.compile(r"[1-9]\d{0,17}", re.ASCII)
WHAT_NOW = "Choose what shall happen, then send the form again."


class Decisions:
    def __init__(self, site: Site, board: Board, jobs: Jobs, copies: ReplicaDecisions) -> None:
        self._site = site
        self._board = board
        self._jobs = jobs
        self._copies = copies

    async def page(self, visit: Visit) -> Response:
        names = visit.viewer.names
        some = {"names": names, "limit": SHOWN}
        standing = await self._site.ask(
            "undecided", names=names
        )  # first: what comes meanwhile was not looked at
        lists: dict[str, Any] = {
            "conflicts": await self._site.ask("conflicts", undecided=True, **some),
            "deletions": await self._site.ask("deletions", **some),
            "matches": await self._site.ask("matches", **some),
            "rejected": await self._site.ask("rejected", **some),
            "decided": await self._site.ask("decided", **some),
        }
        shown = {name: [{**row, "name": full_name(row)} for row in rows] for name, rows in lists.items()}
        more = {name: max(0, standing[name] - len(rows)) for name, rows in lists.items()}
        done = DONE.get(visit.request.query_params.get("done", ""), "")
        seen = standing["mark"]
        copies = await self._copies.lists(visit)
        return self._site.show("decisions.html", visit, **shown, **copies, more=more, done=done, seen=seen)

    async def conflict(self, visit: Visit) -> Response:
        form = visit.form
        choice, item, column = form.one("choice"), form.one("item"), form.one("column")
        if choice not in ("ecs", "crm", "value"):
            raise Failure("choice", WHAT_NOW)
        chosen = {"value": form.one("value").strip()} if choice == "value" else {"keep": choice}
        names = visit.names_of(form.one("account"))
        await self._site.ask("resolve", item=item, column=column, names=names, by=visit.by, **chosen)
        return self._decided(visit, "resolved", f"a conflict in {column}")

    async def deletion(self, visit: Visit) -> Response:
        if not visit.viewer.admin:
            # many deletions at once are held for an admin, because the person may not know of them
            self._site.refuse(visit.request, "deletions are an admin's to decide", visit.viewer)
            return self._site.sorry(403, "Held deletions are decided by your admin.", visit.session)
        form, verb = visit.form, visit.form.one("verb")
        items = [] if form.one("which") == "all" else form.all("item")
        if verb not in ("approve", "reject") or (not items and form.one("which") != "all"):
            raise Failure("choice", WHAT_NOW)
        approve = verb == "approve"
        if not items and form.one("seen") != (await self._site.ask("undecided"))["mark"]:
            raise Failure("busy", OTHERS)
        answer = await self._site.ask("decide_deletions", approve=approve, items=items, by=visit.by)
        verb = "approved" if approve else "rejected"
        return self._decided(visit, verb, f"{answer[verb]} held deletions ({verb})")

    async def match(self, visit: Visit) -> Response:
        form, verb = visit.form, visit.form.one("verb")
        names, item = visit.names_of(form.one("account")), form.one("item")
        if verb in _MATCHES:
            await self._site.ask(_MATCHES[verb], item=item, names=names, by=visit.by)
            return self._decided(visit, verb, f"a match ({verb})")
        if verb != "link":
            raise Failure("choice", WHAT_NOW)
        record = form.one("record")
        await self._check_candidate(names, item, record)
        self._log(visit, "a match (link)")

        def link(progress: Progress) -> Any:
            arguments = {"item": item, "record": record, "names": names, "by": visit.by}
            return self._site.asked("match_link", arguments, progress)

        return self._jobs.start(visit, "Linking", "linked.html", link)

    async def rejected(self, visit: Visit) -> Response:
        form, verb = visit.form, visit.form.one("verb")
        if verb not in _REJECTED:
            raise Failure("choice", WHAT_NOW)
        names = visit.names_of(form.one("account"))
        await self._site.ask(_REJECTED[verb], item=form.one("item"), names=names, by=visit.by)
        return self._decided(visit, verb, f"a rejected write ({verb})")

    async def take_back(self, visit: Visit) -> Response:
        if visit.form.one("what").startswith("deletion") and not visit.viewer.admin:
            self._site.refuse(visit.request, "deletions are an admin's to decide", visit.viewer)
            return self._site.sorry(403, "Held deletions are decided by your admin.", visit.session)
        names, item = visit.names_of(visit.form.one("account")), visit.form.one("item")
        decided = await self._site.ask("decided", names=names)
        if not any(full_name(one) == item and one["what"] == visit.form.one("what") for one in decided):
            raise Failure("usage", "This decision is not there any more.")
        await self._site.ask("take_back", item=item, names=names, by=visit.by)
        return self._decided(visit, "back", "to take a decision back")

    async def edit(self, visit: Visit) -> Response:
        """The form for a write that the CRM refused."""
        given = visit.request.query_params
        names, item = visit.names_of(given.get("account", "")), given.get("id", "")
        row = await self._site.ask_slowly("reject_columns", item=item, names=names)
        return self._site.show("amend.html", visit, row=row, name=item)

    async def amend(self, visit: Visit) -> Response:
        form, names = visit.form, visit.names_of(visit.form.one("account"))
        edited = [
            (key.removeprefix(COLUMN), value.replace("\r\n", "\n"))
            for key, value in form.fields
            if key.startswith(COLUMN)
        ]
        self._log(visit, "a rejected write (edit)")
        arguments = {
            "item": form.one("item"),
            "version": form.one("version"),
            "columns": [column for column, _ in edited],
            "values": [value for _, value in edited],
            "names": names,
            "by": visit.by,
        }

        def work(progress: Progress) -> Any:
            return self._site.asked("reject_edit", arguments, progress)

        return self._jobs.start(visit, "Saving", "amended.html", work)

    async def undo(self, visit: Visit) -> Response:
        """What a cycle wrote is put back; a person's own cycles."""
        cycle = visit.form.one("cycle")
        if not CYCLE.fullmatch(cycle):
            raise Failure("choice", WHAT_NOW)
        self._log(visit, f"to undo cycle {cycle}")
        arguments = {"cycle": int(cycle), "names": visit.viewer.names, "by": visit.by}

        def work(progress: Progress) -> Any:
            return self._site.asked("undo", arguments, progress)

        return self._jobs.start(visit, f"Undo of cycle {cycle}", "undone.html", work)

    async def _check_candidate(self, names: Sequence[str], item: str, record: str) -> None:
        """Only what the match itself found: anything else may be a record that the person may not see."""
        matches = await self._site.ask("matches", names=names, item=item)
        if not any(full_name(m) == item and record in m["candidates"] for m in matches):
            raise Failure("usage", "This choice is not there any more.")

    def _decided(self, visit: Visit, done: str, what: str) -> Response:
        self._log(visit, what)
        account = visit.form.one("account")
        self._board.spoil([account] if account else visit.viewer.names)
        return RedirectResponse(f"/decisions?done={done}", 303)

    def _log(self, visit: Visit, what: str) -> None:
        named = visit.form.one("item") or visit.form.one("column")
        self._site.decided(visit, f"{what}{f' of {named}' if named else ''}", what)
