"""``init`` and ``check``."""

from pathlib import Path
from typing import Any

import click

from crmsync.daemon.calls import Failure
from crmsync.daemon.commands import show
from crmsync.daemon.commands.shell import Shell, json_option


@click.command()
@json_option
@click.pass_obj
def init(shell: Shell) -> None:
    """Write a commented configuration to start from.

    To --config, else to ~/.config/crmsync/config.toml. Never overwrites one.
    """
    from crmsync.config.starter import starter

    file = _place(shell)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as new:
            new.write(starter())
    except FileExistsError:
        raise Failure(
            "usage", f"{file} is there already and stays as it is; --config names another file"
        ) from None
    except OSError as error:
        raise Failure(
            "usage", f"{file} cannot be written: {error.strerror}; --config names another file"
        ) from None
    shell.answer(
        {"written": str(file)}, lambda: show.say(f"{file} is written. Fill it in, then: crmsync check")
    )


def _place(shell: Shell) -> Path:
    if shell.config_file:
        return shell.config_file
    environ = shell.world.environ
    if named := environ.get("CRMSYNC_CONFIG"):
        return Path(named)
    if home := environ.get("HOME"):
        return Path(home) / ".config/crmsync/config.toml"
    raise Failure("usage", "where to? --config FILE says it")


@click.command()
@click.option("--write", is_flag=True, help="Prove write access with an item that is deleted again.")
@click.option("--repair", is_flag=True, help="Mend the state where a person must decide.")
@json_option
@click.pass_obj
def check(shell: Shell, write: bool, repair: bool) -> int:
    """Read the configuration and log in to every server.

    Lists their collections and what they can do.
    """
    warnings = shell.config().warnings()
    for warning in warnings:
        shell.hint(f"warning: {warning}")
    answer = shell.call_fresh("check_write" if write else "check", repair=repair)
    shell.answer({**answer, "warnings": warnings}, lambda: _checked(answer["checks"]))
    return 0 if all(c["ok"] for c in answer["checks"]) else 1


def _checked(checks: list[dict[str, Any]]) -> None:
    for one in checks:
        show.say(f"{'ok    ' if one['ok'] else 'FAILED'} {one['name']}: {one['message']}")
        if one.get("hint"):
            show.say(f"       {one['hint']}")
