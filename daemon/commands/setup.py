"""``init`` and ``check``."""

import shlex
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
    named = f"--config {shlex.quote(str(file))} " if shell.config_file else ""  # else it is found by itself
    shell.answer(
        {"written": str(file)}, lambda: show.say(f"{file} is written. Fill it in, then: crmsync {named}check")
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
@click.option("--repair", is_flag=True, help="Put right what check finds wrong with the state.")
@json_option
@click.pass_obj
def check(shell: Shell, write: bool, repair: bool) -> int:
    """Read the configuration and log in to every server.

    Lists their collections and what they can do, and what is wrong with the state: --repair puts that right, as
    proposed.
    """
    warnings = shell.config().warnings()
    for warning in warnings:
        shell.hint(f"warning: {warning}")
    moved = _salvaged(shell) if repair else []
    answer = shell.call_fresh("check_write" if write else "check", repair=repair)
    answer["checks"] = moved + answer["checks"] + _exchange(shell) + _telephones(shell)
    answer["ok"] = all(c["ok"] for c in answer["checks"])
    shell.answer({**answer, "warnings": warnings}, lambda: _checked(answer["checks"]))
    return 0 if answer["ok"] else 1


def _exchange(shell: Shell) -> list[dict[str, Any]]:
    """Of the file, as it is now."""
    exchange = shell.config().exchange
    if exchange.address is None:
        return []
    from crmsync.daemon.adaptor.checking import checks  # loads a web server

    return checks(exchange)


def _telephones(shell: Shell) -> list[dict[str, Any]]:
    """As the running service hears them; by ourselves where none runs."""
    from datetime import UTC, datetime

    config = shell.config()
    if not config.telephony:
        return []
    from crmsync.daemon.telephony import probing

    try:
        troubles = shell.ask_service("telephones")
    except Failure as error:
        if error.code != "no_service":
            raise
        return probing.probed(config, lambda: datetime.now(UTC))
    return [probing.answer(name, troubles.get(name, "")) for name in config.telephony]


def _salvaged(shell: Shell) -> list[dict[str, Any]]:
    """A state that cannot be opened at all is put aside before anything opens it."""
    from datetime import UTC, datetime

    from crmsync.state.errors import StateError
    from crmsync.state.salvage import set_aside

    file = shell.config().state.file
    try:
        aside = set_aside(file, lambda: datetime.now(UTC)) if file is not None else None
    except StateError as error:
        raise Failure("state", str(error)) from error
    if aside is None:
        return []
    message = f"{file} was damaged and is now {aside}; the next sync rebuilds the links from the link stamps"
    return [
        {
            "name": "state",
            "ok": True,
            "message": message,
            "hint": "a backup, put in its place now, knows more",
        }
    ]


def _checked(checks: list[dict[str, Any]]) -> None:
    for one in checks:
        show.say(f"{'ok    ' if one['ok'] else 'FAILED'} {one['name']}: {one['message']}")
        if one.get("hint"):
            show.say(f"       {one['hint']}")
