"""``crmsync demo`` from start to end."""

import importlib.util
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from crmsync.daemon.calls import Failure
from crmsync.daemon.demo.place import OWNER, opened
from crmsync.daemon.demo.stage import Stage, started
from crmsync.daemon.demo.tour import walk

ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
INTERRUPTED = 130
LOOK = 1.0  # seconds between two looks whether the servers still live


class Ended(BaseException):
    """SIGTERM or Ctrl-C. No Exception, so that nobody on the way takes it for a fault."""


def run(tour: bool, directory: Path | None, ready_file: Path | None) -> int:
    if importlib.util.find_spec("radicale") is None:
        raise Failure("usage", "the demo needs Radicale, a DAV server: pip install 'radicale>=3.3'")
    before = {number: signal.signal(number, _end) for number in ENDINGS}
    code = INTERRUPTED if tour else 0  # what an interruption means before the tour is over
    try:
        if ready_file is not None:
            _forget(ready_file)
        with opened(directory) as place:
            click.echo("Starting a DAV server, a CRM and the service …")
            with started(place, datetime.now(UTC)) as stage:
                if ready_file is not None:
                    stage.write_ready(ready_file)
                if tour:
                    code = _toured(stage, kept=directory is not None)
                    if ready_file is not None:
                        # the tour restarts the service, which forgets its links
                        stage.write_ready(ready_file)
                if not tour or (sys.stdin.isatty() and sys.stdout.isatty()):
                    _stay(stage)
    except Ended:
        click.echo("The demo has ended.")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code


def _toured(stage: Stage, *, kept: bool) -> int:
    if not walk(stage, click.echo):
        return 0
    if not kept:
        click.echo(f"The end of the service's log:\n{stage.service.child.said()}")
    return 1


def _forget(ready_file: Path) -> None:
    """One of an earlier demo would say what does not hold any more."""
    try:
        ready_file.unlink(missing_ok=True)
    except OSError as error:
        raise Failure("usage", f"--ready-file {ready_file} cannot be written: {error.strerror}") from error


def _end(number: int, frame: FrameType | None) -> NoReturn:
    for each in ENDINGS:
        signal.signal(each, signal.SIG_IGN)  # the servers are being ended: let that finish
    raise Ended


def _stay(stage: Stage) -> NoReturn:
    click.echo(_by_hand(stage))
    while True:
        time.sleep(LOOK)
        stage.check()


def _by_hand(stage: Stage) -> str:
    """What a person needs to try it."""
    lines = ["", "Everything runs. To try it by hand:", ""]
    for person in stage.people.values():
        lines += [
            f"  {person.name}",
            f"    address book         {person.book.url}",
            f"    calendar             {person.calendar.url}",
            f"      login              {person.book.username} / {person.book.password}",
            f"    in the CRM           {person.crm.username} / {person.crm.password}",
        ]
    whole = stage.ready()
    ready = whole["crm"]
    lines += [
        "  CRM",
        f"    pages                {ready['url']}/crm, with the login of anybody above",
        f"    REST API             {ready['url']}",
        f"    with TLS             {ready['https_url']}, CA in {ready['ca_file']}",
        f"    client               {ready['client_id']} / {ready['client_secret']}",
        f"    sees everything      {ready['username']} / {ready['password']}",
        "",
        "  Status page",
        f"    opens once           {whole['service']['login_link']}",
        f"    another link         crmsync --config {stage.place.config} login-link --admin",
        "",
        *_telephone(stage),
        "  Give an item the category CRM, or change it on either side: seconds later the other side has it.",
        f"  From another terminal: crmsync --config {stage.place.config} status",
        f"  The service's log:     {stage.place.folder / 'service.log'}",
        "",
        "Ctrl-C ends it.",
    ]
    return "\n".join(lines)


def _telephone(stage: Stage) -> list[str]:
    if stage.phones is None:
        return []
    return [
        "  Telephone",
        f"    softphone            {stage.login_link().partition('/login')[0]}/softphone",
        f"    a code for it        crmsync --config {stage.place.config} softphone pair {OWNER}",
        "",
    ]
