"""``crmsync``: the command line, from arguments to an exit code.

Exit codes: 0 done; 1 something failed or was parked, and the output says what; 2 usage or configuration; 3 something
is held for a person. 1 beats 3.
"""

import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from crmsync.daemon.calls import Failure
from crmsync.daemon.commands import (
    byhand,
    deciding,
    exchanging,
    looking,
    replica,
    serving,
    setup,
    softphone,
    syncing,
)
from crmsync.daemon.commands.shell import Shell, World

log = logging.getLogger(__name__)

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Otherwise $CRMSYNC_CONFIG, /etc/crmsync/config.toml, ~/.config/crmsync/config.toml.",
)
@click.option("--json", is_flag=True, help="Print one JSON document, and nothing else, on stdout.")
@click.option("--debug", is_flag=True, help="Log what happens, with tracebacks, on stderr.")
@click.version_option(package_name="crmsync")
@click.pass_obj
def cli(shell: Shell, config_file: Path | None, json: bool, debug: bool) -> None:
    """Keeps contacts, calendars and tasks in step with the CRM.

    ITEM is any id that the tool prints, of either side. Exit codes: 0 done, 1 something failed or was parked,
    2 usage or configuration, 3 something waits for a person.
    """
    shell.config_file = config_file
    shell.json = json
    shell.debug = debug
    if debug:
        from crmsync.daemon import logs

        logs.setup("debug", shell.world.environ)


for command in (
    setup.init,
    setup.check,
    serving.run,
    syncing.sync,
    looking.status,
    looking.queue,
    deciding.retry,
    deciding.conflicts,
    deciding.deletions,
    deciding.matches,
    deciding.rejected,
    looking.login_link,
    looking.explain,
    looking.history,
    byhand.undo,
    syncing.reconcile,
    byhand.link,
    byhand.unlink,
    byhand.forget,
    exchanging.exchange,
    softphone.softphone,
    serving.demo,
    serving.crm,
):
    cli.add_command(command)
serving.crm.add_command(replica.replica)


def main(arguments: Sequence[str] | None = None, world: World | None = None) -> int:
    """The exit code. Never a traceback: those are for ``--debug``."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    shell = Shell(world or World())
    try:
        code = cli.main(given, prog_name="crmsync", standalone_mode=False, obj=shell)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return _said("usage", error.format_message(), shell.json or "--json" in given, error.exit_code)
    except Failure as error:
        click.echo(f"crmsync: {error.message}", err=True)
        return _said(error.code, error.message, shell.json, error.exit_code, error.details)
    except (KeyboardInterrupt, click.Abort):
        click.echo("crmsync: interrupted; what was confirmed stands, the next sync does the rest", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        _no_more_output()
        return 0
    except Exception as error:  # noqa: BLE001 - the last resort
        return _defect(shell, error)
    finally:
        shell.close()


def _defect(shell: Shell, error: Exception) -> int:
    message = f"a defect of crmsync: {type(error).__name__}"
    log.debug("the command failed", exc_info=error, extra={"action": "cli.defect"})
    click.echo(f"crmsync: {message}. Please report it, with what --debug shows", err=True)
    return _said("defect", message, shell.json, 1)


def _said(
    code: str, message: str, as_json: bool, exit_code: int, details: dict[str, object] | None = None
) -> int:
    """With ``--json`` the failure is the one document, too."""
    if as_json:
        click.echo(
            json.dumps({"error": {"code": code, "message": message, **(details or {})}}, ensure_ascii=False)
        )
    return exit_code


def _no_more_output() -> None:
    """Whoever read us (``| head``) has enough; Python would complain once more when it flushes at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
