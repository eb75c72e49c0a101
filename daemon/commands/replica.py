"""``crm replica``: the copy of the CRM, as an admin and a person see it."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from crmsync.daemon.commands import show
from crmsync.daemon.commands.shell import Shell, in_silence, json_option

NEXT = "The next pass carries it out: at once where the service runs, else with crmsync crm replica sync."
STATUS = {
    "name": "Replica",
    "light": "Light",
    "acting": "Works",
    "last_success": "Last success",
    "waiting": "Waiting",
    "conflicts": "Conflicts",
    "rejected": "Rejected",
}
DONE = ("pulled", "removed", "created", "updated", "deleted", "rejected", "deferred")
CONFLICTS = {
    "item": "Record",
    "object": "Object",
    "fields": "Fields",
    "base": "Before",
    "local": "Here",
    "server": "In the CRM",
    "winner": "Winner",
    "resolved": "Resolved",
}
REJECTED = {
    "item": "Record",
    "object": "Object",
    "action": "What",
    "fields": "Fields",
    "code": "Code",
    "error": "Why",
}
crms_argument = click.argument("crms", nargs=-1, metavar="[CRM]...")
crm_option = click.option(
    "--crm", default="", metavar="NAME", help="Of several CRMs, the replica of this one."
)
values_option = click.option(
    "--set", "values", multiple=True, metavar="FIELD=VALUE", help="Another value; may be given often."
)


@click.group()
def replica() -> None:
    """The copy of a CRM that is kept here.

    For each [crm.NAME] with replica = true.
    """


@replica.command()
@crms_argument
@json_option
@click.pass_obj
def status(shell: Shell, crms: tuple[str, ...]) -> None:
    """How the replicas stand, with a light for each."""
    answer = shell.call("replica_status", crms=list(crms))
    shell.answer(answer, lambda: tell(answer["replicas"]))


def tell(replicas: Sequence[Mapping[str, Any]]) -> None:
    show.table(
        replicas, STATUS, "No CRM of this configuration has a replica: replica = true in its [crm.NAME]."
    )
    for one in replicas:
        if now := one["progress"]:
            what = f", {now['what']}" if now["what"] else ""
            show.say(f"{one['name']}: stage {now['number']} of {now['of']}, {now['stage']}{what}")
        if one["error"]:
            show.say(f"{one['name']}: {one['error']['message']} (since {one['error']['since']})")


@replica.command()
@crms_argument
@json_option
@click.pass_obj
def sync(shell: Shell, crms: tuple[str, ...]) -> int:
    """Bring replicas and CRMs in step now, until nothing changes."""
    answer = shell.call("replica_sync", _stages if sys.stderr.isatty() else in_silence, crms=list(crms))
    shell.answer(answer, lambda: _tell_sync(answer))
    return exit_code(answer)


def _stages(crm: str, what: str, count: int) -> None:
    click.echo(f"{crm}: {show.plain(what)}", err=True)


def exit_code(answer: Mapping[str, Any]) -> int:
    """1 if something failed or was refused in this run, else 3 if something waits for a person, else 0."""
    done = answer["replicas"]
    if answer["errors"] or any(one["rejected"] for one in done):
        return 1
    return 3 if any(one["conflicts"] or one["still_rejected"] for one in done) else 0


def _tell_sync(answer: Mapping[str, Any]) -> None:
    for one in answer["replicas"]:
        did = ", ".join(f"{one[what]} {what}" for what in DONE if one[what]) or "nothing had changed"
        show.say(f"{one['name']}: in step; {did}.")
        if one["still_rejected"]:
            number = show.counted(one["still_rejected"], "change")
            show.say(f"{one['name']}: the CRM has refused {number}: crmsync crm replica rejected")
        if one["conflicts"]:
            number = show.counted(one["conflicts"], "conflict")
            show.say(f"{one['name']}: {number} to decide: crmsync crm replica conflicts --undecided")
    for error in answer["errors"]:
        again = " It is tried again by itself where the service runs." if error["retry"] else ""
        show.say(f"{error['replica']}: {error['message']}{again}")


@replica.command()
@crms_argument
@click.option("--undecided", is_flag=True, help="Only those that wait for a person.")
@json_option
@click.pass_obj
def conflicts(shell: Shell, crms: tuple[str, ...], undecided: bool) -> None:
    """Where a record was changed here and in the CRM, and who won."""
    answer = shell.call("replica_conflicts", crms=list(crms), undecided=undecided)
    shell.answer(answer, lambda: show.table(answer, CONFLICTS, "There was no conflict."))


@replica.command()
@click.argument("item")
@click.option("--keep", type=click.Choice(["local", "server"]), help="What stands here, or in the CRM.")
@values_option
@click.option("--field", "fields", multiple=True, help="Of several, only this one; may be given often.")
@crm_option
@json_option
@click.pass_obj
def resolve(
    shell: Shell, item: str, keep: str | None, values: tuple[str, ...], fields: tuple[str, ...], crm: str
) -> None:
    """End the conflict of a record; abandon gives the local change up."""
    if (keep is None) == (not values):
        raise click.UsageError("say either --keep local, --keep server, or --set FIELD=VALUE")
    choice: dict[str, Any] = {"keep": keep} if keep else {"values": list(values)}
    answer = shell.call("replica_resolve", item=item, fields=list(fields), crm=crm, **choice)
    what = {"local": "what stands here", "server": "what stands in the CRM"}.get(
        keep or "", "the given value"
    )
    _decided(shell, answer, f"{answer['item']}: {what} will stand.")


@replica.command()
@crms_argument
@json_option
@click.pass_obj
def rejected(shell: Shell, crms: tuple[str, ...]) -> None:
    """What the CRM has refused, and why."""
    answer = shell.call("replica_rejected", crms=list(crms))
    shell.answer(answer, lambda: show.table(answer, REJECTED, "Nothing was refused."))


@replica.command()
@click.argument("item")
@values_option
@crm_option
@json_option
@click.pass_obj
def retry(shell: Shell, item: str, values: tuple[str, ...], crm: str) -> None:
    """Send what was refused again, as it is or with other values."""
    answer = shell.call("replica_retry", item=item, values=list(values), crm=crm)
    _decided(shell, answer, f"{answer['item']} will be sent again.")


@replica.command()
@click.argument("item")
@crm_option
@json_option
@click.pass_obj
def abandon(shell: Shell, item: str, crm: str) -> None:
    """Give the local change of a record up; it is as the CRM has it."""
    answer = shell.call("replica_abandon", item=item, crm=crm)
    shell.answer(
        answer,
        lambda: show.say(f"The local change of {item} was given up; its values stand in the conflict log."),
    )


@replica.command()
@click.argument(
    "mode", required=False, type=click.Choice(["auto", "online", "hybrid", "offline", "configured"])
)
@crm_option
@json_option
@click.pass_obj
def mode(shell: Shell, mode: str | None, crm: str) -> None:
    """Show how replicas work, or choose another mode."""
    answer = shell.call("replica_mode", mode=mode or "", crm=crm)
    shell.answer(answer, lambda: _tell_mode(answer["replicas"]))


def _tell_mode(replicas: Sequence[Mapping[str, Any]]) -> None:
    for one in replicas:
        now = "" if one["mode"] == one["acting"] else f", works {one['acting']} now"
        show.say(f"{one['name']}: {one['mode']}{now}")


def _decided(shell: Shell, answer: dict[str, Any], sentence: str) -> None:
    shell.answer(answer, lambda: show.say(sentence))
    shell.hint(NEXT)
