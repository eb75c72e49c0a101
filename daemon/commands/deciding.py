"""The commands with which a person decides: conflicts, held deletes, ambiguous matches, parked rows."""

from typing import Any

import click

from crmsync.daemon.commands import show
from crmsync.daemon.commands.shell import Shell, json_option
from crmsync.daemon.operations.permission import LATER

NEXT = "The next sync carries it out: it comes by itself where the service runs, or now with crmsync sync."

CONFLICTS = {
    "item": "Item",
    "column": "Column",
    "base": "Before",
    "ecs": "ECS",
    "crm": "CRM",
    "winner": "Winner",
    "resolved": "Resolved",
    "cycle": "Cycle",
}
HELD = {
    "item": "Item",
    "record": "Record",
    "account": "Account",
    "kind": "Kind",
    "side": "Side",
    "reason": "Why",
}
MATCHES = {**HELD, "candidates": "Candidates"}
REJECTED = {
    "item": "Item",
    "account": "Account",
    "side": "Side",
    "code": "Code",
    "error": "Error",
    "since": "Since",
}


def _decided(shell: Shell, answer: dict[str, Any], sentence: str) -> None:
    shell.answer(answer, lambda: show.say(sentence))
    shell.hint(next_step(shell))


def next_step(shell: Shell) -> str:
    return LATER if shell.config().schedule.authority == "crm" else NEXT


@click.command()
@click.argument("items", nargs=-1, metavar="[ITEM]...")
@json_option
@click.pass_obj
def retry(shell: Shell, items: tuple[str, ...]) -> None:
    """Try parked items again: these, or all."""
    answer = shell.call("retry", items=list(items))
    _decided(
        shell, answer, f"{show.counted(answer['retried'], 'row')} of the sync table will be tried again."
    )


# ── Conflicts ────────────────────────────────────────────────────────────────────────────────────────────────


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def conflicts(context: click.Context) -> None:
    """Where both sides changed the same column, and who won.

    Lists the conflict log; conflicts resolve changes a decision.
    """
    if context.invoked_subcommand is None:
        shell: Shell = context.obj
        answer = shell.call("conflicts")
        shell.answer(answer, lambda: show.table(answer, CONFLICTS, "There was no conflict."))


@conflicts.command()
@click.argument("item")
@click.argument("column")
@click.option("--keep", type=click.Choice(["ecs", "crm"]), help="This side's value shall stand on both.")
@click.option("--value", help="This value shall stand on both.")
@json_option
@click.pass_obj
def resolve(shell: Shell, item: str, column: str, keep: str | None, value: str | None) -> None:
    """Say which value shall stand; also against what was decided before."""
    if (keep is None) == (value is None):
        raise click.UsageError("say either --keep ecs, --keep crm, or --value V")
    choice = {"keep": keep} if keep is not None else {"value": value}
    answer = shell.call("resolve", item=item, column=column, **choice)
    _decided(shell, answer, f"{column} of {item}: {'the given value' if keep is None else keep} will stand.")


# ── Held deletes ─────────────────────────────────────────────────────────────────────────────────────────────


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def deletions(context: click.Context) -> None:
    """Deletions that are held because there were many.

    Lists them; deletions approve and reject decide.
    """
    if context.invoked_subcommand is None:
        shell: Shell = context.obj
        answer = shell.call("deletions")
        shell.answer(answer, lambda: show.table(answer, HELD, "No deletion is held."))


@deletions.command()
@click.argument("items", nargs=-1, metavar="[ITEM]...")
@json_option
@click.pass_obj
def approve(shell: Shell, items: tuple[str, ...]) -> None:
    """Delete them: these, or all that are held."""
    answer = shell.call("decide_deletions", approve=True, items=list(items))
    _decided(shell, answer, f"{show.counted(answer['approved'], 'deletion')} approved.")


@deletions.command()
@click.argument("items", nargs=-1, metavar="[ITEM]...")
@json_option
@click.pass_obj
def reject(shell: Shell, items: tuple[str, ...]) -> None:
    """They were a mistake: what is gone is put back. These, or all that are held."""
    answer = shell.call("decide_deletions", approve=False, items=list(items))
    sentences = [f"{show.counted(answer['rejected'], 'deletion')} rejected.", *answer.get("notes", ())]
    _decided(shell, answer, "\n".join(sentences))


# ── Matches ──────────────────────────────────────────────────────────────────────────────────────────────────


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def matches(context: click.Context) -> None:
    """Items whose partner is not clear.

    More than one is possible, or the names do not agree. Lists them; matches link, create and ignore decide.
    """
    if context.invoked_subcommand is None:
        shell: Shell = context.obj
        answer = shell.call("matches")
        shell.answer(answer, lambda: show.table(answer, MATCHES, "Every match is clear."))


@matches.command("link")
@click.argument("item")
@click.argument("record")
@json_option
@click.pass_obj
def match_link(shell: Shell, item: str, record: str) -> None:
    """ITEM and RECORD are one."""
    answer = shell.call("match_link", item=item, record=record)
    _decided(shell, answer, f"{answer.get('item', item)} and {answer.get('record', record)} are linked.")


@matches.command("create")
@click.argument("item")
@json_option
@click.pass_obj
def match_create(shell: Shell, item: str) -> None:
    """ITEM has no partner: make one."""
    answer = shell.call("match_create", item=item)
    _decided(shell, answer, f"{item} gets a partner of its own.")


@matches.command("ignore")
@click.argument("item")
@json_option
@click.pass_obj
def match_ignore(shell: Shell, item: str) -> None:
    """Leave ITEM alone from now on."""
    answer = shell.call("match_ignore", item=item)
    shell.answer(answer, lambda: show.say(f"{item} is left alone from now on."))


# ── Rejected ─────────────────────────────────────────────────────────────────────────────────────────────────


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def rejected(context: click.Context) -> None:
    """What a server refused for good, or too often.

    Lists it; rejected retry and abandon decide.
    """
    if context.invoked_subcommand is None:
        shell: Shell = context.obj
        answer = shell.call("rejected")
        shell.answer(answer, lambda: show.table(answer, REJECTED, "Nothing was rejected."))


@rejected.command("retry")
@click.argument("item")
@json_option
@click.pass_obj
def reject_retry(shell: Shell, item: str) -> None:
    """Try ITEM again."""
    answer = shell.call("reject_retry", item=item)
    _decided(shell, answer, f"{item} will be tried again.")


@rejected.command("edit")
@click.argument("item")
@click.option(
    "--set", "changes", multiple=True, metavar="COLUMN=VALUE", help="May be given often; no value empties."
)
@json_option
@click.pass_obj
def reject_edit(shell: Shell, item: str, changes: tuple[str, ...]) -> None:
    """Correct ITEM, which the CRM refused, where it came from, and try again.

    Without --set: what can be edited, as it is now.
    """
    shown = shell.call("reject_columns", item=item)
    if not changes:
        shell.answer(
            shown, lambda: show.table(shown["columns"], {"column": "Column", "value": "Value"}, "Nothing.")
        )
        return
    if wrong := [one for one in changes if "=" not in one]:
        raise click.UsageError(f"--set {wrong[0]} is not COLUMN=VALUE")
    pairs = [one.partition("=") for one in changes]
    columns, values = [column for column, _, _ in pairs], [value for _, _, value in pairs]
    answer = shell.call("reject_edit", item=item, version=shown["version"], columns=columns, values=values)
    _decided(
        shell,
        answer,
        f"{', '.join(answer['columns'])} of {item} changed; undo {answer['cycle']} takes it back.",
    )


@rejected.command()
@click.argument("item")
@json_option
@click.pass_obj
def abandon(shell: Shell, item: str) -> None:
    """Give this change of ITEM up; its next edit is synced again."""
    answer = shell.call("reject_abandon", item=item)
    shell.answer(
        answer, lambda: show.say(f"The change of {item} was given up. Its next edit is synced again.")
    )
