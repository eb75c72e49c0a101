"""``sync`` and ``reconcile``."""

import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import click

from crmsync.daemon.commands import show
from crmsync.daemon.commands.shell import Shell, accounts_argument, in_silence, json_option
from crmsync.daemon.operations.permission import CODE

COUNTS = ("created", "updated", "deleted", "unlinked", "parked", "held", "conflicts")
PLAN = {
    "account": "Account",
    "item": "Item",
    "record": "Record",
    "side": "Side",
    "action": "Action",
    "columns": "Columns",
    "reason": "Why",
}


@click.command()
@accounts_argument
@click.option("--dry-run", is_flag=True, help="Only say what would be written, and why.")
@click.option("--full", is_flag=True, help="Compare everything, not only what changed.")
@json_option
@click.pass_obj
def sync(shell: Shell, accounts: tuple[str, ...], dry_run: bool, full: bool) -> int:
    """Sync now, until nothing changes: these accounts, or all.

    Does not wait for the settle time. Goes through the running service if there is one.
    """
    with _watching() as progress:
        answer = shell.call("sync", progress, names=list(accounts), dry_run=dry_run, full=full)
    return _finish(shell, accounts, answer)


@click.command()
@accounts_argument
@json_option
@click.pass_obj
def reconcile(shell: Shell, accounts: tuple[str, ...]) -> int:
    """Look for deletions now.

    Compares completely what is there with what is linked, then syncs.
    """
    with _watching() as progress:
        answer = shell.call("reconcile", progress, names=list(accounts))
    return _finish(shell, accounts, answer)


def _watching() -> Any:
    if not sys.stderr.isatty():
        return nullcontext(in_silence)
    from crmsync.daemon.commands.bar import Bar

    return Bar()


def _finish(shell: Shell, accounts: Sequence[str], answer: dict[str, Any]) -> int:
    standing = shell.call("status", names=list(accounts))["accounts"]
    shell.answer(answer, lambda: _tell(answer, standing))
    return exit_code(answer, standing)


def exit_code(answer: Mapping[str, Any], standing: Sequence[Mapping[str, Any]]) -> int:
    """1 if something failed or was parked in this run, else 3 if something waits for a person, or for the CRM to say
    that it may be exchanged, else 0."""
    cycles = answer["cycles"]
    if answer["errors"] or any(cycle.get("parked") for cycle in cycles):
        return 1
    if any(notice["code"] == CODE for notice in answer.get("notices", ())):
        return 3
    if any(cycle.get("held") for cycle in cycles) or any(a["held"] or a["conflicts"] for a in standing):
        return 3
    return 0


def _tell(answer: Mapping[str, Any], standing: Sequence[Mapping[str, Any]]) -> None:
    if "plan" in answer:
        show.table(answer["plan"], PLAN, "Nothing would be written.")
    else:
        _totals(answer["cycles"], failed={error["account"] for error in answer["errors"]})
    for notice in answer.get("notices", ()):
        show.say(f"NOTICE {notice['account']}: {notice['message']}")
    for error in answer["errors"]:
        about = ", ".join(show.plain(error[key]) for key in ("account", "item") if error.get(key))
        again = "; it is tried again" if error.get("retry") else ""
        show.say(f"FAILED {about}: {error['message']}{again}")
    for account in standing:
        for line in _waiting(account):
            show.say(f"{account['name']}: {line}")


def _totals(cycles: Sequence[Mapping[str, Any]], failed: Collection[str]) -> None:
    totals: dict[str, dict[str, int]] = {}
    for cycle in cycles:
        sums = totals.setdefault(cycle["account"], dict.fromkeys(COUNTS, 0))
        for what in COUNTS:
            sums[what] += int(cycle.get(what) or 0)
    for account, sums in totals.items():
        did = ", ".join(f"{number} {what}" for what, number in sums.items() if number)
        if did or account not in failed:
            show.say(f"{account}: {did or 'nothing to do'}")


def _waiting(account: Mapping[str, Any]) -> list[str]:
    lines = []
    if account["parked"]:
        lines.append(
            f"{show.counted(account['parked'], 'item')} parked; see crmsync queue, then crmsync retry"
        )
    if account["held"]:
        lines.append(
            f"{show.counted(account['held'], 'item')} held; see crmsync deletions and crmsync matches"
        )
    if account["conflicts"]:
        lines.append(f"{show.counted(account['conflicts'], 'conflict')} to decide; see crmsync conflicts")
    return lines
