"""The commands that only read: ``status``, ``queue``, ``explain``, ``history``."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from crmsync.daemon.commands import show
from crmsync.daemon.commands.shell import Shell, accounts_argument, json_option

STATUS = {
    "name": "Account",
    "light": "Light",
    "last_success": "Last success",
    "pending": "Pending",
    "parked": "Parked",
    "held": "Held",
    "conflicts": "Conflicts",
}
QUEUE = {
    "item": "Item",
    "account": "Account",
    "side": "Side",
    "state": "State",
    "attempts": "Attempts",
    "next": "Next attempt",
    "error": "Last error",
}
HISTORY = {
    "at": "When",
    "cycle": "Cycle",
    "side": "Written to",
    "action": "Action",
    "column": "Column",
    "old": "Old",
    "new": "New",
    "winner": "Winner",
    "reason": "Why",
}
_APART = ("snapshot", "snapshot_xml", "versions", "decisions", "queue", "conflicts")  # shown below the fields


@click.command()
@accounts_argument
@json_option
@click.pass_obj
def status(shell: Shell, accounts: tuple[str, ...]) -> None:
    """How the accounts stand, with a light for each.

    Last success, and what is pending, parked, held or in conflict.
    """
    answer = shell.call("status", names=list(accounts))
    shell.answer(answer, lambda: _status(answer["accounts"], answer.get("replicas", ())))


def _status(accounts: list[dict[str, Any]], replicas: Sequence[dict[str, Any]]) -> None:
    show.table(accounts, STATUS, "There are no accounts.")
    for account in accounts:
        for error in account.get("errors", ()):
            show.say(f"{account['name']}: {error['message']}")
        for notice in account.get("notices", ()):
            show.say(f"{account['name']}: {notice}")
    if replicas:
        from crmsync.daemon.commands.replica import tell

        show.say("")
        tell(replicas)


@click.command()
@accounts_argument
@json_option
@click.pass_obj
def queue(shell: Shell, accounts: tuple[str, ...]) -> None:
    """What is detected and not synced yet.

    The sync table, with attempts and the last error.
    """
    answer = shell.call("queue", names=list(accounts))
    shell.answer(answer, lambda: show.table(answer, QUEUE, "Nothing is waiting to be synced."))


@click.command("login-link")
@click.argument("account", required=False)
@click.option("--admin", is_flag=True, help="For an admin, who sees all accounts.")
@json_option
@click.pass_obj
def login_link(shell: Shell, account: str | None, admin: bool) -> None:
    """A one-time link to the status page.

    Whoever opens it first is logged in as ACCOUNT.
    """
    if admin == bool(account):
        raise click.UsageError("say either ACCOUNT or --admin")
    answer = shell.ask_service("login_link", **({"account": account} if account else {"admin": True}))
    shell.answer(answer, lambda: show.say(answer["url"]))
    shell.hint("It opens once, within ten minutes, for whoever has it.")


@click.command()
@click.argument("item")
@json_option
@click.pass_obj
def explain(shell: Shell, item: str) -> None:
    """Everything known of one item, and why it is so.

    Tag, mapping, snapshot, versions, last decisions and their reasons.
    """
    answer = shell.call("explain", item=item)
    shell.answer(answer, lambda: _explain(answer))


def _explain(answer: Mapping[str, Any]) -> None:
    show.fields({name: value for name, value in answer.items() if name not in _APART})
    for title in ("versions", "snapshot"):
        if answer.get(title):
            _part(title, answer[title])
    if answer.get("queue"):
        show.say("\nqueue")
        show.table(answer["queue"], {k: QUEUE[k] for k in ("side", "state", "attempts", "error")}, "")
    if answer.get("conflicts"):
        from crmsync.daemon.commands.deciding import CONFLICTS

        show.say("\nconflicts")
        show.table(answer["conflicts"], {k: v for k, v in CONFLICTS.items() if k != "item"}, "")
    show.say("\ndecisions")
    show.table(answer.get("decisions") or (), HISTORY, "None so far.")


def _part(title: str, values: Mapping[str, Any]) -> None:
    filled = {f"  {name}": value for name, value in values.items() if value is not None}
    empty = sorted(name for name, value in values.items() if value is None)
    show.say(f"\n{title}")
    show.fields({**filled, **({"  empty": empty} if empty else {})})


@click.command()
@click.argument("item")
@json_option
@click.pass_obj
def history(shell: Shell, item: str) -> None:
    """What was written to an item, field by field.

    Old and new value, who won, when.
    """
    answer = shell.call("item_history", item=item)
    shell.answer(answer, lambda: show.table(answer, HISTORY, "Nothing was written to it so far."))
