"""The commands that stay: ``run``, ``demo``, ``crm serve``."""

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import click

from crmsync.daemon.commands.shell import Shell

_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, exists=True, path_type=Path)


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
    """The embedded CRM alone; the copy of a CRM that is kept here."""


@crm.command()
@click.option("--directory", type=_FOLDER, help="Keep records and logins there; otherwise nothing is kept.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; beyond loopback with --tls."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8755, show_default=True, help="0 takes a free one."
)
@click.option(
    "--https-port", type=click.IntRange(0, 65535), default=0, help="For HTTPS; otherwise a free one."
)
@click.option("--tls", is_flag=True, help="HTTPS alone, on --port.")
@click.option(
    "--certificate", type=_FILE, help="PEM file, with its chain; otherwise one is made for loopback."
)
@click.option("--key", type=_FILE, help="PEM file with the private key of --certificate.")
@click.option(
    "--proxy", is_flag=True, help="Also a CONNECT proxy, for programs that hard-code Salesforce's addresses."
)
@click.option(
    "--proxy-port", type=click.IntRange(0, 65535), default=8756, show_default=True, help="0 takes a free one."
)
@click.option(
    "--proxy-host",
    "proxy_hosts",
    multiple=True,
    metavar="NAME",
    help="A name that the proxy answers for, or *.NAME; may be given often. Otherwise Salesforce's.",
)
@click.option(
    "--user",
    "users",
    multiple=True,
    default=("sync@example.com",),
    show_default=True,
    help="May be given often.",
)
@click.option(
    "--replica",
    "name",
    metavar="NAME",
    default="",
    help="Instead of the embedded CRM: the replica of [crm.NAME], for its user, with the password there.",
)
@click.pass_obj
def serve(shell: Shell, /, directory: Path | None, users: tuple[str, ...], name: str, **options: Any) -> None:
    """Serve a Salesforce-compatible API on 127.0.0.1 until Ctrl-C. The first --user sees every record."""
    from crmsync.daemon.commands.crm_serving import serve_at, serve_replica

    with contextlib.ExitStack() as stack:
        place = directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crmsync-crm-")))
        if name:
            engine = shell.build(shell.config())
            stack.callback(engine.close)
            serve_replica(place, engine.replicas, name, **options)
        else:
            serve_at(place, users, **options)
