"""``exchange``: what the CRM's scheduler has asked for."""

from typing import Any

import click

from crmsync.daemon.calls import LARGEST
from crmsync.daemon.commands import show
from crmsync.daemon.commands.shell import Shell, json_option

JOBS = {
    "accepted": "When",
    "job": "Job",
    "credential": "Asked by",
    "direction": "Direction",
    "accounts": "Accounts",
    "state": "State",
    "did": "Did",
}
AUDIT = {
    "at": "When",
    "credential": "Who",
    "peer": "From",
    "asked": "Asked for",
    "outcome": "Outcome",
    "detail": "What",
}
_limit = click.option(
    "--limit", type=click.IntRange(1, LARGEST), default=50, help="So many, the newest first."
)


@click.group()
def exchange() -> None:
    """What the CRM's scheduler has asked for, and what became of it."""


@exchange.command()
@_limit
@json_option
@click.pass_obj
def jobs(shell: Shell, limit: int) -> None:
    """The exchanges that were asked for."""
    answer = shell.call("exchange_jobs", limit=limit)
    rows = [{**job, "did": _did(job["result"])} for job in answer]
    shell.answer(answer, lambda: show.table(rows, JOBS, "No CRM has asked for an exchange."))


@exchange.command()
@_limit
@json_option
@click.pass_obj
def audit(shell: Shell, limit: int) -> None:
    """Who asked for what, and which rule refused it."""
    answer = shell.call("exchange_audit", limit=limit)
    rows = [{**line, "outcome": line["rule"] or "allowed"} for line in answer]
    shell.answer(answer, lambda: show.table(rows, AUDIT, "Nobody has asked for anything."))


def _did(result: dict[str, Any]) -> str:
    if "message" in result:
        return str(result["message"])
    return ", ".join(
        f"{n} {what}" for what, n in result.get("counts", {}).items() if n and what != "requests"
    )
