"""A real Dovecot, from Debian's package, on free ports of loopback: alice and bob, each with mailboxes of their own.

It keeps everything in one directory, runs as whoever starts it (as root: its login processes as nobody, because Dovecot
refuses to run those as root), offers CONDSTORE, QRESYNC, IDLE, special-use folders and STARTTLS, and lets users share
folders with one another (``SETACL``; they appear below ``shared/``).
"""

import datetime
import imaplib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from crmsync.connectors.imap.client import Server
from crmsync.daemon.crm_api.tls import make_certificates
from tests.servers.process import free_port, running

_INSTALL = "apt-get install dovecot-imapd"
_NOBODY = 65534
_NOBODIES = 300  # people whom nobody has written to
USERS: Mapping[str, str] = {
    **{f"person-{n}@example.com": f"secret-{n}" for n in range(_NOBODIES)},
    "alice@example.com": "alice-secret",
    "bob@example.com": "bob-secret",
    "service@example.com": "service-secret",
}
_CONFIG = """
base_dir = {place}/run
state_dir = {place}/state
log_path = {place}/log
protocols = imap
listen = 127.0.0.1
ssl = {tls}
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {nobody}
first_valid_uid = 0
first_valid_gid = 0
auth_mechanisms = plain login
auth_failure_delay = 0
mail_fsync = never
mail_max_userip_connections = 50
mail_plugins = acl
mail_location = maildir:~/Maildir
passdb {{
  driver = passwd-file
  args = scheme=plain username_format=%u {place}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={place}/mail/%u
}}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  service_count = 0
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
namespace inbox {{
  inbox = yes
  separator = /
  prefix =
  mailbox Drafts {{
    auto = create
    special_use = \\Drafts
  }}
  mailbox Sent {{
    auto = create
    special_use = \\Sent
  }}
  mailbox Trash {{
    auto = create
    special_use = \\Trash
  }}
  mailbox Junk {{
    auto = create
    special_use = \\Junk
  }}
}}
namespace {{
  type = shared
  separator = /
  prefix = shared/%%u/
  location = maildir:%%h/Maildir:INDEXPVT=~/Maildir/shared/%%u
  subscriptions = no
  list = yes
}}
protocol imap {{
  mail_plugins = acl imap_acl
  imap_capability = {capability}
}}
plugin {{
  acl = vfile::cache_secs=0
  acl_shared_dict = file:{place}/shared.db
}}
"""


@dataclass(frozen=True)
class Dovecot:
    port: int
    tls_port: int
    ca_file: Path
    users: Mapping[str, str]
    place: Path
    _used: Iterator[int] = field(default_factory=lambda: iter(range(_NOBODIES)))

    @property
    def server(self) -> Server:
        return Server("127.0.0.1", self.port, tls="plain")

    @property
    def url(self) -> str:
        return f"imap://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"imaps://localhost:{self.tls_port}"

    def fresh(self) -> str:
        """Somebody whose mailbox is empty."""
        return f"person-{next(self._used)}@example.com"

    def login(self, user: str = "alice@example.com") -> tuple[str, str]:
        return user, self.users[user]

    @contextmanager
    def session(self, user: str = "alice@example.com") -> Iterator[imaplib.IMAP4]:
        """A person's mail programme, of the standard library; never the client under test."""
        with imaplib.IMAP4("127.0.0.1", self.port) as connection:
            connection.login(*self.login(user))
            yield connection

    def arrives(self, user: str, message: bytes, flags: str = "", folder: str = "INBOX") -> None:
        """``message``: as it stands on the wire; ``flags``: with spaces between them. A folder that is not there is
        made."""
        with self.session(user) as mailbox:
            if folder != "INBOX":
                mailbox.create(f'"{folder}"')
            answer = mailbox.append(f'"{folder}"', f"({flags})", "", message)
            assert answer[0] == "OK", answer

    def fill(self, user: str, count: int) -> None:
        """Mail that has been lying in somebody's inbox for long; put there behind the server's back, which is fast."""
        folder = self.place / "mail" / user / "Maildir"
        for name in ("cur", "new", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for n in range(count):
            text = (
                f"Message-ID: <old-{n}@example.com>\nFrom: bob@example.com\nSubject: Old {n}\n\nLong ago.\n"
            )
            (folder / "cur" / f"{1_700_000_000 + n}.M{n}P1.old:2,S").write_text(text)
        if os.getuid() == 0:
            for path in (folder.parent, folder, *folder.iterdir(), *(folder / "cur").iterdir()):
                os.chown(path, _NOBODY, _NOBODY)

    def share(self, folder: str, *, owner: str, to: str, rights: str = "lrwstipekx") -> None:
        with self.session(owner) as connection:
            answer, _ = connection.setacl(folder, to, rights) if rights else connection.deleteacl(folder, to)
            assert answer == "OK"


@contextmanager
def dovecot(*, capability: str = "", users: Mapping[str, str] = USERS, tls: bool = True) -> Iterator[Dovecot]:
    """Skips the test where Dovecot is not installed. ``capability``: all that it claims to know, else what it knows."""
    program = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip(f"Dovecot is not installed: {_INSTALL}")
    place = Path(tempfile.mkdtemp(prefix="crmsync-imap-", dir="/tmp"))  # sockets: their paths must be short
    try:
        keys = make_certificates(place / "tls", datetime.datetime.now(datetime.UTC))
        port, tls_port = free_port(), free_port()
        me = pwd.getpwuid(os.getuid())
        (place / "mail").mkdir()
        (place / "shared.db").touch()
        (place / "users").write_text(
            "".join(f"{name}:{{PLAIN}}{word}::::::\n" for name, word in users.items())
        )
        config = place / "dovecot.conf"
        config.write_text(
            _CONFIG.format(
                place=place,
                certificate=keys.certificate_file,
                key=keys.key_file,
                user=me.pw_name,
                group=_group(),
                nobody="nobody" if os.getuid() == 0 else me.pw_name,
                uid=_mail_user(place),
                gid=_mail_user(place),
                port=port,
                tls_port=tls_port,
                capability=capability,
                tls="yes" if tls else "no",
            )
        )
        with running([program, "-F", "-c", str(config)], place / "output", lambda: _answers(port)):
            yield Dovecot(port, tls_port, keys.ca_file, users, place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _group() -> str:
    return subprocess.run(["id", "-gn"], check=True, capture_output=True, text=True).stdout.strip()


def _mail_user(place: Path) -> int:
    """Mail processes do not run as root either: then everything that they write belongs to nobody."""
    if os.getuid() != 0:
        return os.getuid()
    place.chmod(0o755)
    for path in (place / "mail", place / "shared.db", place):
        os.chown(path, _NOBODY, _NOBODY)
    return _NOBODY


def _answers(port: int) -> bool:
    try:
        with imaplib.IMAP4("127.0.0.1", port):
            return True
    except (OSError, imaplib.IMAP4.error):
        return False
