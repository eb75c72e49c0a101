"""Somebody who works on a mailbox with the standard library's own client: what a bench over IMAP needs."""

import email.utils
import re
from itertools import count

from imapclient.imap_utf7 import encode

from crmsync.connectors.contract import Cursor
from crmsync.connectors.imap import cursor
from crmsync.connectors.mail.names import folder_name
from tests.servers.dovecot import Dovecot

_serial = count(1)
_MESSAGE = """Received: from elsewhere.example.com by mail.example.com; Mon, 02 Mar 2026 09:00:00 +0000
Message-ID: <{id}>
From: =?utf-8?q?B=C3=B6b?= <bob@example.com>
To: Alice <alice@example.com>, carol@example.com
Date: Mon, 02 Mar 2026 10:00:00 +0100
Subject: About {title}
X-Something: kept; as it "is"
MIME-Version: 1.0
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: 8bit

Gr\xfc\xdfe
"""


class MailPerson:
    """Everything in the folder CRM, and below, is tagged. A title is the folder below."""

    def __init__(self, server: Dovecot, user: str) -> None:
        self._server, self._user = server, user
        self.folder = "CRM"

    def add(self, title: str) -> str:
        id = f"person-{next(_serial)}@example.com"
        data = _MESSAGE.format(id=id, title=title).replace("\n", "\r\n").encode("latin-1")
        with self._server.session(self._user) as mail:
            folder = self._made(mail, title)
            assert mail.append(folder, None, email.utils.localtime(), data)[0] == "OK"
        return id

    def retitle(self, id: str, title: str) -> None:
        """To the folder of another title."""
        with self._server.session(self._user) as mail:
            found, uid = self._at(mail, id)
            target = self._made(mail, title)
            mail.select(found)
            assert mail._simple_command("UID", "MOVE", uid, target)[0] == "OK"  # type: ignore[attr-defined]

    def delete(self, id: str) -> None:
        with self._server.session(self._user) as mail:
            folder, uid = self._at(mail, id)
            mail.select(folder)
            mail.uid("STORE", uid, "+FLAGS", "(\\Deleted)")
            mail.expunge()

    def unmapped(self, id: str) -> object:
        with self._server.session(self._user) as mail:
            folder, uid = self._at(mail, id)
            mail.select(folder, readonly=True)
            answer = mail.uid("FETCH", uid, "(BODY.PEEK[])")[1]
        return answer[0][1]

    def _made(self, mail, title: str) -> str:  # type: ignore[no-untyped-def]
        folder = '"' + encode(f"{self.folder}/{folder_name(title)}").decode() + '"'
        mail.create(folder)
        return folder

    def _at(self, mail, id: str) -> tuple[str, str]:  # type: ignore[no-untyped-def]
        for line in mail.list('""', f'"{self.folder}/*"')[1]:
            folder = re.fullmatch(rb'\(.*?\) "/" (.*)', line)[1].decode()  # type: ignore[index]
            if mail.select(folder, readonly=True)[0] != "OK":
                continue
            if found := mail.uid("SEARCH", "HEADER", "MESSAGE-ID", f'"{id}"')[1][0].split():
                return folder, found[0].decode()
        raise AssertionError(f"{id} is nowhere")


def expired(known: Cursor) -> Cursor:
    """As if the server had numbered its messages anew since."""
    mark = cursor.decode(known)
    return cursor.Mark(
        {
            name: cursor.FolderMark(
                type(m.status)(m.status.validity + 1, m.status.next, m.status.count, m.status.modseq), m.ids
            )
            for name, m in mark.folders.items()
        }
    ).encode()
