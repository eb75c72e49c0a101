"""The commands that change items by hand: ``link``, ``unlink``, ``undo``, ``forget``."""

from typing import Any

import click

from crmsync.daemon.calls import LARGEST
from crmsync.daemon.commands import show
from crmsync.daemon.commands.deciding import next_step
from crmsync.daemon.commands.shell import Shell, json_option

KEPT = {"item": "Item", "side": "Side", "column": "Column", "reason": "Why"}


@click.command()
@click.argument("item")
@click.argument("record")
@json_option
@click.pass_obj
def link(shell: Shell, item: str, record: str) -> None:
    """ITEM and RECORD are one."""
    answer = shell.call("link", item=item, record=record)
    shell.answer(answer, lambda: show.say(f"{answer['item']} and {answer['record']} are linked."))
    shell.hint(next_step(shell))


@click.command()
@click.argument("item")
@json_option
@click.pass_obj
def unlink(shell: Shell, item: str) -> None:
    """ITEM and its record are no longer one. Both stay as they are; nothing is deleted."""
    answer = shell.call("unlink", item=item)
    shell.answer(answer, lambda: show.say(f"{answer['item']} and {answer['record']} are no longer linked."))


@click.command()
@click.argument("cycle", type=click.IntRange(1, LARGEST))
@json_option
@click.pass_obj
def undo(shell: Shell, cycle: int) -> int:
    """Put back what one cycle wrote, on both sides.

    crmsync history ITEM names the cycles.
    """
    answer = shell.call("undo", cycle=cycle)
    shell.answer(answer, lambda: _undone(answer))
    return 1 if answer["errors"] else 0


def _undone(answer: dict[str, Any]) -> None:
    show.say(f"Cycle {answer['cycle']}: {show.counted(answer['undone'], 'write')} put back.")
    if answer.get("partly"):
        show.say("Put back in part:")
        show.table(answer["partly"], {n: title for n, title in KEPT.items() if n != "column"}, "")
    if answer["kept"]:
        show.say("Left as it is:")
        show.table(answer["kept"], KEPT, "")
    _failed(answer)


@click.command()
@click.argument("address")
@click.option("--everywhere", is_flag=True, help="Delete the person's items on both sides, too.")
@json_option
@click.pass_obj
def forget(shell: Shell, address: str, everywhere: bool) -> int:
    """Erase a person, and never import them again.

    From mapping, snapshots, history, conflict log and call log; the items stay, but with --everywhere.
    """
    answer = shell.call("forget", address=address, everywhere=everywhere)
    shell.answer(answer, lambda: _forgotten(answer))
    return 1 if answer.get("errors") else 0


def _forgotten(answer: dict[str, Any]) -> None:
    deleted = answer.get("deleted", 0)
    also = f", {show.counted(deleted, 'item')} deleted on the two sides" if deleted else ""
    show.say(f"{show.counted(answer['forgotten'], 'link')} with everything known of them erased{also}.")
    if answer.get("calls"):
        show.say(f"{show.counted(answer['calls'], 'call')} erased from the call log.")
    _failed(answer)


def _failed(answer: dict[str, Any]) -> None:
    for error in answer.get("errors", ()):
        show.say(f"FAILED {error.get('item') or error.get('account')}: {error['message']}")
