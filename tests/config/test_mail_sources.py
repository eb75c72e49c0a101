"""Mailboxes: how they are reached, and which keys are theirs alone."""

from typing import Any

import pytest

from crmsync.config.model import Config
from crmsync.connectors.imap.connector import MailSource
from crmsync.daemon.mail import mail

_MAIL = """
[[account.alice.source]]
type = "imap"
url = "{url}"
username = "alice"
password = "secret"
"""


def _made(config: Config) -> MailSource:
    account = config.account["alice"]
    source = account.source[-1]
    made = mail(account, source, ca_file=str(source.ca_file) if source.ca_file else None)
    assert isinstance(made, MailSource)
    return made


@pytest.mark.parametrize(
    ("url", "more", "port", "tls"),
    [
        ("imaps://mail.example.com", "", 993, "tls"),
        ("imaps://mail.example.com:1993", "", 1993, "tls"),
        ("imap://mail.example.com", "", 143, "starttls"),
        ("imap://127.0.0.1:1143", "", 1143, "plain"),
        ("imap://mail.example.com", 'insecure_host = "mail.example.com"', 143, "plain"),
    ],
)
def test_how_it_is_reached(loaded: Any, good: str, url: str, more: str, port: int, tls: str) -> None:
    server = _made(loaded(good + _MAIL.format(url=url) + more))._mail.server
    assert (server.port, server.tls) == (port, tls)


def test_what_a_person_wants_of_it(loaded: Any, good: str) -> None:
    more = 'folders = ["INBOX", "Sent"]\ntag_folder = "Sales"\nkeyword = "crm"\n'
    more += 'max_attachment = "500KB"\ntrack_answers = true'
    settings = _made(loaded(good + _MAIL.format(url="imaps://mail.example.com") + more))._settings
    assert (settings.folders, settings.folder, settings.own) == (("INBOX", "Sent"), "Sales", "crm")
    assert (settings.attachment_limit, settings.track_answers) == (500_000, True)
    assert (settings.file, settings.delete_messages) == (False, False)


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ('keyword = "two words"', "keyword"),
        ('max_attachment = "5 GB"', "max_attachment"),
        ("max_attachment = 5", "max_attachment"),
        ('mailbox = "boss@example.com"', "mailbox"),
        ('auth = "ntlm"', "auth"),
        ("folders = []", "folders"),
    ],
)
def test_misunderstandings(problems: Any, good: str, more: str, wrong: str) -> None:
    found = {
        key.rpartition(".")[2] for key in problems(good + _MAIL.format(url="imaps://mail.example.com") + more)
    }
    assert found == {wrong}


@pytest.mark.parametrize("key", ["track_answers = true", 'tag_folder = "X"', 'max_attachment = "1MB"'])
def test_what_is_only_mails(problems: Any, good: str, key: str) -> None:
    assert f"account.alice.source[0].{key.split()[0]}" in problems(good + key)


def test_a_url_of_another_kind(problems: Any, good: str) -> None:
    assert problems(good + _MAIL.format(url="https://mail.example.com"))
    assert problems(good.replace("https://dav", "imaps://dav"))
    assert problems(good + _MAIL.format(url="imaps://alice:secret@mail.example.com"))
