"""The demo's mail server: Dovecot, where it is installed. It lives in a directory of its own, which goes with it."""

import contextlib
import grp
import imaplib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from crmsync.daemon.calls import Failure
from crmsync.daemon.demo.child import Child, free_port
from crmsync.daemon.demo.place import PEOPLE, Place, crm_user, write_private

INSTALL = "apt-get install dovecot-imapd"
ATTEMPTS = 3  # a free port may be taken before it listens
_VERSION = "2.3"  # 2.4 wants another configuration
_NOBODY = "nobody"

_CONFIG = """
base_dir = {place}/run
state_dir = {place}/state
log_path = {log}
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {login}
first_valid_uid = 0
first_valid_gid = 0
auth_failure_delay = 0
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
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
"""


def program() -> str | None:
    """Dovecot, in a version that we know how to configure."""
    found = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        return None
    try:
        told = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return found if told.stdout.startswith(_VERSION) else None


@contextlib.contextmanager
def started(place: Place) -> Iterator[int]:
    """Its port; zero where there is none. Raises Failure when it is there and does not start."""
    found = program()
    if found is None:
        yield 0
        return
    with tempfile.TemporaryDirectory(prefix="crmsync-", dir="/tmp", ignore_cleanup_errors=True) as short:
        for attempt in range(1, ATTEMPTS + 1):
            child, port = _prepared(found, place, Path(short))
            try:
                child.start(lambda port=port: _answers(port))  # type: ignore[misc]
            except Failure:
                if attempt == ATTEMPTS:
                    raise
                continue
            break
        try:
            yield port
        finally:
            child.stop()


def _prepared(found: str, place: Place, folder: Path) -> tuple[Child, int]:
    port, me = free_port(), pwd.getpwuid(os.getuid())
    group, log = grp.getgrgid(os.getgid()).gr_name, place.folder / "dovecot.log"
    root = me.pw_uid == 0
    # it refuses to run what talks to the net, or reads mail, as root
    mail = pwd.getpwnam(_NOBODY) if root else me
    (folder / "mail").mkdir(exist_ok=True)
    if root:
        folder.chmod(0o711)
        os.chown(folder / "mail", mail.pw_uid, mail.pw_gid)
    write_private(
        folder / "users", "".join(f"{crm_user(n)}:{{PLAIN}}{place.secret(n)}::::::\n" for n in PEOPLE)
    )
    write_private(
        folder / "dovecot.conf",
        _CONFIG.format(
            place=folder,
            log=log,
            user=me.pw_name,
            group=group,
            login=mail.pw_name,
            uid=mail.pw_uid,
            gid=mail.pw_gid,
            port=port,
        ),
    )
    return Child("Dovecot", (found,), ["-F", "-c", str(folder / "dovecot.conf")], log), port


def _answers(port: int) -> bool:
    try:
        with imaplib.IMAP4("127.0.0.1", port, timeout=1.0):
            return True
    except (OSError, imaplib.IMAP4.error):
        return False
