"""The demo's directory: what lies where, secrets that are kept, and the configuration that the service reads."""

import contextlib
import fcntl
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from crmsync.daemon.calls import Failure

OURS = "# Written by crmsync demo, at every start.\n"
LONGEST_SOCKET = 107  # bytes: sun_path of sockaddr_un, unix(7)
PEOPLE = OWNER, DELEGATE = ("alice", "bob")  # he looks after her calendar, too
BOOK, CALENDAR = "Contacts", "Calendar"
CLIENT_ID, SYNC_USER = "crmsync-demo", "sync@example.com"
EXCHANGE = "crm-scheduler"  # the credential of the CRM's scheduler, and its secret


def crm_user(name: str) -> str:
    return f"{name}@example.com"


@dataclass(frozen=True, slots=True)
class Place:
    folder: Path  # absolute
    socket: Path

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def seeded(self) -> Path:
        """Exists when the sample data is complete."""
        return self.folder / "sample-data"

    def secret(self, name: str) -> str:
        """The secret of that name, made when it is first asked for."""
        file = self.folder / "secrets" / name
        if not file.exists():
            file.parent.mkdir(mode=0o700, exist_ok=True)
            write_private(file, secrets.token_urlsafe(12))
        return file.read_text()

    def write_config(self, dav: str, crm: str, mail: int, page: int, exchange: int, phone: int = 0) -> None:
        """Ports: ``mail`` of the mail server, if there is one; ``page`` of the status page; ``exchange`` where the
        CRM's scheduler reaches the service; ``phone`` of Alice's telephone, if there is one."""
        self.secret(EXCHANGE)
        write_private(self.config, _config(self, dav, crm, mail, page, exchange, phone))

    def change_authority(self, authority: str) -> None:
        """Who says when is exchanged, ``self`` or ``crm``, once the service has read it."""
        other = {"self": "crm", "crm": "self"}[authority]
        text = self.config.read_text().replace(f'authority = "{other}"', f'authority = "{authority}"')
        write_private(self.config, text)


@contextlib.contextmanager
def opened(directory: Path | None) -> Iterator[Place]:
    """``directory``, or a temporary one that is removed at the end. Raises Failure when it cannot be used."""
    with contextlib.ExitStack() as stack:
        if directory is None:
            made = tempfile.TemporaryDirectory(prefix="crmsync-demo-", ignore_cleanup_errors=True)
            folder = Path(stack.enter_context(made))
        else:
            folder = directory.absolute()
            stack.enter_context(_alone(folder))
        socket = folder / "control.sock"
        if len(os.fsencode(socket)) > LONGEST_SOCKET:
            short = tempfile.TemporaryDirectory(prefix="crmsync-", dir="/tmp", ignore_cleanup_errors=True)
            socket = Path(stack.enter_context(short)) / "control.sock"
        yield Place(folder, socket)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else has a demo there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_ours(folder / "config.toml")
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise Failure(
            "usage", f"{folder} cannot be used: {error.strerror}; name another --directory"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure(
                "usage", f"another demo runs in {folder}: end it first, or name another --directory"
            ) from None
        yield


def _check_ours(config: Path) -> None:
    if config.exists() and not config.read_text(errors="replace").startswith(OURS):
        raise Failure("usage", f"{config} is not the demo's: name an empty or new --directory")


def write_private(file: Path, text: str) -> None:
    """At once or not at all; for the owner's eyes."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(text)
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise


def sqlite_url(file: Path) -> str:
    """What has a meaning in a URL is escaped; nothing else, so that a person recognises the path."""
    return "sqlite:///" + str(file).translate({ord("%"): "%25", ord("?"): "%3F", ord("#"): "%23"})


def _config(place: Place, dav: str, crm: str, mail: int, page: int, exchange: int, phone: int) -> str:
    shared = _SHARED.format(name=DELEGATE, dav=f"{dav}{OWNER}/{CALENDAR}/")
    account = _ACCOUNT + (_MAIL if mail else "")
    telephone = _TELEPHONE.format(port=phone) if phone else ""
    return "\n".join([_SERVICE.format(
        ours=OURS,
        state=_quoted(sqlite_url(place.folder / "state.db")),
        page=page,
        exchange=exchange,
        credential=EXCHANGE,
        socket=_quoted(str(place.socket)),
        crm=_quoted(crm),
        client=_quoted(CLIENT_ID),
        user=_quoted(SYNC_USER),
    ), telephone, *(account.format(name=name, user=crm_user(name), dav=f"{dav}{name}/", book=BOOK, calendar=CALENDAR,
                                   mail=mail, telephone=_HERS if phone and name == OWNER else "")
         for name in PEOPLE), shared])  # fmt: skip


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are TOML's."""
    return json.dumps(text, ensure_ascii=False)


_SERVICE = """{ours}# From another terminal: crmsync --config FILE status

[state]
url = {state}

[schedule]
interval = "5s"
settle = "2s"
authority = "self"  # or "crm": its scheduler says when is exchanged

[service]
listen = "127.0.0.1:{page}"
socket = {socket}

[exchange]
listen = "127.0.0.1:{exchange}"

[exchange.credential.{credential}]
secret_file = "secrets/{credential}"
accounts = ["*"]

[crm.demo]
type = "salesforce"
url = {crm}
client_id = {client}
client_secret_file = "secrets/crm-client"
username = {user}
password_file = "secrets/crm-sync"
external_id = "Crmsync_Id__c"
"""

_TELEPHONE = """\
[telephony.desk]
type = "baresip"
port = {port}
region = "DE"
"""
_HERS = 'telephone = "desk"\n'

_ACCOUNT = """\
[account.{name}]
crm = "demo"
crm_user = "{user}"
{telephone}addresses = ["{user}"]
default_collection.contact = "{book}"
default_collection.appointment = "{calendar}"
default_collection.task = "{calendar}"
guard.appointment.percent = 50  # each tour in a directory deletes one of a dozen

[[account.{name}.source]]
type = "carddav"
url = "{dav}"
username = "{name}"
password_file = "secrets/{name}"

[[account.{name}.source]]
type = "caldav"
url = "{dav}"
username = "{name}"
password_file = "secrets/{name}"
"""

_SHARED = """\
[[account.{name}.source]]
type = "caldav"
url = "{dav}"
username = "{name}"
password_file = "secrets/{name}"
"""

_MAIL = """
[[account.{name}.source]]
type = "imap"
url = "imap://127.0.0.1:{mail}"
username = "{user}"
password_file = "secrets/{name}"
"""
