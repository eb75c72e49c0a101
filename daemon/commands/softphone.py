"""``softphone``: which browsers show an account's calls."""

import click

from crmsync.daemon.commands import show
from crmsync.daemon.commands.shell import Shell, json_option


@click.group()
def softphone() -> None:
    """Browsers that show and answer an account's calls."""


@softphone.command()
@click.argument("account")
@json_option
@click.pass_obj
def pair(shell: Shell, account: str) -> None:
    """A code for one browser, good for ten minutes: it is typed into the softphone there."""
    answer = shell.ask_service("softphone_pair", account=account)
    shell.answer(answer, lambda: show.say(answer["code"]))
    shell.hint(f"Type it into the softphone of {account}, until {answer['expires']}.")


@softphone.command("list")
@click.argument("account")
@json_option
@click.pass_obj
def paired(shell: Shell, account: str) -> None:
    """The browsers that are paired with an account."""
    answer = shell.ask_service("softphone_paired", account=account)
    lines = [f"{one['id']}  since {one['made'][:19]}" for one in answer["paired"]]
    shell.answer(answer, lambda: show.say("\n".join(lines) or "No browser is paired."))


@softphone.command()
@click.argument("account")
@click.argument("id", required=False, default="")
@json_option
@click.pass_obj
def revoke(shell: Shell, account: str, id: str) -> None:
    """Take the calls away from one browser, or from all of an account's."""
    answer = shell.ask_service("softphone_revoke", account=account, id=id)
    shell.answer(answer, lambda: show.say(f"{answer['revoked']} not paired any more."))
