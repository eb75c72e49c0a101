"""The commands that stay: ``run``, ``demo``, ``crm serve``."""

import contextlib
import json
import os
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from crmsync.daemon.calls import Failure
from crmsync.daemon.commands import show
from crmsync.daemon.commands.shell import Shell

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.pass_obj
def run(shell: Shell) -> int:
    """The service, in the foreground, until SIGTERM or Ctrl-C. SIGHUP reads the configuration again."""
    from crmsync.daemon import service

    return service.run(shell.load, shell.build, shell.world.environ, debug=shell.debug)


@click.command()
@click.option("--tour/--no-tour", default=True, help="Walk through what the sync does, step by step.")
@click.option("--directory", type=_FOLDER, help="Keep everything there, instead of in a temporary directory.")
@click.option(
    "--ready-file", type=click.Path(dir_okay=False, path_type=Path), help="Written when everything answers."
)
def demo(tour: bool, directory: Path | None, ready_file: Path | None) -> int:
    """Everything at once on this machine, to try it out.

    A DAV server, the embedded CRM, sample data and the service.
    """
    from crmsync.daemon.demo import run_demo

    return run_demo(tour, directory, ready_file)


@click.group()
def crm() -> None:
    """The embedded CRM alone."""


@crm.command()
@click.option("--directory", type=_FOLDER, help="Keep records and logins there; otherwise nothing is kept.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8755, show_default=True, help="0 takes a free one."
)
@click.option(
    "--https-port", type=click.IntRange(0, 65535), default=0, help="For HTTPS; otherwise a free one."
)
@click.option(
    "--user",
    "users",
    multiple=True,
    default=("sync@example.com",),
    show_default=True,
    help="May be given often.",
)
def serve(directory: Path | None, port: int, https_port: int, users: tuple[str, ...]) -> None:
    """Serve a Salesforce-compatible API on 127.0.0.1 until Ctrl-C. The first --user sees every record."""
    with contextlib.ExitStack() as stack:
        place = directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crmsync-crm-")))
        _serve(place, port, https_port, users)


def _serve(place: Path, port: int, https_port: int, users: Sequence[str]) -> None:
    from crmsync.daemon.crm_api.server import CrmServer
    from crmsync.daemon.crm_api.server import serve as serve_crm
    from crmsync.state.replica.org import Client, Org, Person

    logins = place / "logins.json"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = _logins(logins, users)
        people = tuple(
            Person(
                name,
                known["users"][name],
                name.partition("@")[0].title(),
                profile="Integration" if name == users[0] else "Standard User",
            )
            for name in users
        )
        client = Client(known["client_id"], known["client_secret"], run_as=users[0])
        server = CrmServer(
            Org("Embedded CRM", people, (client,)),
            f"sqlite:///{(place / 'crm.db').absolute()}",
            place / "tls",
            port=port,
            https=True,
            https_port=https_port,
        )
    except OSError as error:
        raise Failure(
            "usage", f"the embedded CRM cannot start: {error}; see --port and --directory"
        ) from error

    def announce(urls: Sequence[str]) -> None:
        show.say("\n".join(["The embedded CRM answers.", *(f"  {url}" for url in urls)]))
        show.say(f"  pages for people: {urls[0]}/crm")
        show.say(f"  CA of the HTTPS address: {server.ca_file}\n  logins: {logins}\nCtrl-C ends it.")

    try:
        serve_crm(server, announce=announce)
    finally:
        server.stop()


def _logins(file: Path, users: Sequence[str]) -> dict[str, Any]:
    """``{"client_id", "client_secret", "users": {name: password}}``, made on the spot where the file has none."""
    known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    known.setdefault("client_id", "crmsync")
    known.setdefault("client_secret", secrets.token_urlsafe(24))
    passwords = known.setdefault("users", {})
    for name in users:
        passwords.setdefault(name, secrets.token_urlsafe(12))
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        json.dump(known, handle, indent=2)
    return known
