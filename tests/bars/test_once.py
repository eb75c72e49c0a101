"""What several accounts see is fetched once for each change, however many they are: counted at the server's door."""

from pathlib import Path

import pytest

from tests.bars.delegates import ACCOUNT, CARD, MAIL, RIGHTS, TAG, Place, place, source
from tests.servers.dovecot import USERS, dovecot
from tests.servers.ews.person import EwsPerson
from tests.servers.ews.server import ews
from tests.servers.proxy import Asked, proxy
from tests.servers.radicale import radicale
from tests.servers.turns import counted

pytestmark = [pytest.mark.bar, pytest.mark.server, pytest.mark.timeout(120)]
SEEING = ("alice", "bob", "carol", "dan", "eve")


def account(name: str) -> str:
    """All of them are one user of the CRM, because what one may see there is another matter."""
    return ACCOUNT.format(name=name).replace(f'"{name}@', '"alice@')


def in_step(made: Place) -> None:
    made.sync(*SEEING)
    made.sync(*SEEING)


def test_an_address_book_in_five_accounts(tmp_path: Path) -> None:
    """And nobody is given what the server does not show them."""
    people = (*SEEING, "mallory")
    users = {name: f"{name}-secret" for name in (*people, "team")}
    rights = RIGHTS + f"[team]\nuser: {'|'.join(SEEING)}\ncollection: team/.+\npermissions: rw\n"
    with radicale(tmp_path / "dav", users=users, rights=rights) as dav, proxy(dav.url) as line:
        book = dav.make_book("Contacts", user="team")
        shown = book.replace(dav.url, line.url)
        text = "".join(account(name) + source(name, "carddav", shown, name) for name in people)
        with place(tmp_path, text, users) as made:
            dav.put(book + "ada.vcf", CARD.format(uid="ada", tag=TAG), user="team")
            in_step(made)
            read: list[str] = []

            def watch(asked: Asked) -> None:
                if asked.method == "GET" or b"multiget" in asked.body:
                    read.append(asked.method)

            line.trouble = watch
            for title in ("One", "Two"):
                text = dav.send("GET", book + "ada.vcf", user="team").data.decode()
                read.clear()
                lines = [li for li in text.split("\r\n") if not li.startswith("TITLE")]
                changed = "\r\n".join([*lines[:-2], f"TITLE:{title}", *lines[-2:]])
                dav.put(book + "ada.vcf", changed, user="team")
                made.sync(*SEEING)
                (row,) = made.sf.query_all("SELECT Title FROM Contact")["records"]
                assert row["Title"] == title
                assert read == ["REPORT"]
            report = made.engine.sync(["mallory"])
            assert [e["code"] for e in report["errors"]] != []
            assert made.engine.queue() == []


def test_exchange_folders_in_five_accounts(tmp_path: Path) -> None:
    addresses = {name: f"{name}@example.com" for name in (*SEEING, "team")}
    with ews(*addresses.values()) as server:
        folder = server.place.mailboxes[addresses["team"]].known("contacts")
        folder.rights.update({addresses[name]: "Editor" for name in SEEING})
        team = f'mailbox = "{addresses["team"]}"\naccess = "delegate"'
        text = "".join(account(n) + source(n, "ews", server.url, addresses[n], team) for n in SEEING)
        passwords = {address: server.login(address)[1] for address in addresses.values()}
        with place(tmp_path, text, passwords) as made:
            somebody = EwsPerson(server.place, folder)
            card = somebody.add("Lovelace")
            somebody.tag(card, "CRM")
            in_step(made)
            for title in ("One", "Two"):
                before = len(server.seen("GetItem"))
                somebody.set(card, JobTitle=title)
                made.sync(*SEEING)
                (row,) = made.sf.query_all("SELECT Title FROM Contact")["records"]
                assert row["Title"] == title
                assert len(server.seen("GetItem")) == before + 1


def test_a_mailbox_in_five_accounts(tmp_path: Path) -> None:
    """The message, when it is tagged; later its flags, once, and the message never again."""
    logins = {name: f"person-{n}@example.com" for n, name in enumerate((*SEEING, "team"))}
    with dovecot() as server, counted(server.port) as line:
        for name in SEEING:
            server.share("INBOX", owner=logins["team"], to=logins[name])
        team = f'collections = ["{logins["team"]}"]'
        url = f"imap://127.0.0.1:{line.port}"
        text = "".join(account(n) + source(n, "imap", url, logins[n], team) for n in SEEING)
        with place(tmp_path, text, {login: USERS[login] for login in logins.values()}) as made:
            server.arrives(logins["team"], MAIL.format(uid="one").encode(), "$CRM")
            in_step(made)
            assert line.asked.count(b"BODY.PEEK[]") == 1
            for sign, status in (("+", "0"), ("-", "1")):
                with server.session(logins["team"]) as mailbox:
                    mailbox.select("INBOX")
                    mailbox.store("1", f"{sign}FLAGS", "(\\Flagged)")
                line.forget()
                made.sync(*SEEING)
                (row,) = made.sf.query_all("SELECT Status FROM EmailMessage")["records"]
                assert row["Status"] == status
                assert line.asked.count(b"BODY.PEEK[]") == 0
                looks = line.asked.count(b"UID FETCH")
                assert (
                    looks == len(SEEING) + 1
                )  # each login's own list of changes, and one look at the message
