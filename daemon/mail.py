"""Logins to mail servers. Their connector is imported when the first one is made: not everybody has one."""

from dataclasses import asdict
from urllib.parse import urlsplit

from crmsync.config.account import Account as AccountConfig
from crmsync.config.source import Source as SourceConfig
from crmsync.config.values import is_loopback
from crmsync.connectors.contract import Source
from crmsync.connectors.mail import settings as mailbox

_OWN = "Mail"  # what `collections` calls the login's own mailbox


def mail(account: AccountConfig, config: SourceConfig, *, ca_file: str | None) -> Source:
    """Raises SecretError."""
    from crmsync.connectors.imap.client import Server
    from crmsync.connectors.imap.connector import MailSource
    from crmsync.connectors.imap.settings import Settings

    url = urlsplit(config.url)
    secure = url.scheme == "imaps"
    server = Server(
        url.hostname or "",
        url.port or (993 if secure else 143),
        tls="tls" if secure else "starttls" if _in_secret(config, ca_file) else "plain",
        ca_file=ca_file,
        verify=config.verify,
    )
    settings = Settings(**asdict(wishes(account, config)), keyword=config.keyword or "")
    password = config.password.reveal() if config.password else ""
    others = [name for name in config.collections or () if name != _OWN]
    return MailSource(server, config.username or "", password, settings, others=others)


def wishes(account: AccountConfig, config: SourceConfig) -> mailbox.Settings:
    """What the account wants of its mailbox, whatever protocol leads to it."""
    return mailbox.Settings(
        tag=account.tag,
        folder=config.tag_folder,
        folders=config.folders or (),
        addresses=_addresses(account, config),
        attachment_limit=config.max_attachment,
        track_answers=config.track_answers,
        file=config.move_messages,
        delete_messages=config.delete_messages,
    )


def mail_outlook(account: AccountConfig, config: SourceConfig) -> str:
    """What decides how a message in somebody else's mailbox reads through this login."""
    words = (account.tag, config.keyword, config.tag_folder, config.max_attachment, config.move_messages)
    addresses = _addresses(account, config)
    himself = any("@" not in name or name.lower() in addresses for name in _others(config))
    return repr((words, sorted(addresses) if himself else ()))


def exchange_outlook(account: AccountConfig, config: SourceConfig) -> str:
    """The same of an Exchange server: which files travel is so for appointments as well."""
    return repr((account.tag, config.tag_folder, config.max_attachment, config.move_messages))


def _others(config: SourceConfig) -> list[str]:
    return [name for name in config.collections or () if name != _OWN]


def _addresses(account: AccountConfig, config: SourceConfig) -> frozenset[str]:
    """The person's own."""
    more = (config.username, account.crm_user, config.mailbox if config.impersonates else None)
    names = (*account.owner_of, *(name for name in more if name))
    own = [*account.addresses, *(name for name in names if "@" in name)]
    return frozenset(a.lower() for a in own)


def _in_secret(config: SourceConfig, ca_file: str | None) -> bool:
    """Whether a connection that begins in clear has to change to TLS: not on this machine, unless an authority is given
    for it, nor where somebody has accepted that passwords can be read."""
    host = urlsplit(config.url).hostname or ""
    accepted = config.verify and (config.insecure_host or "").lower() == host
    return bool(ca_file) or not (is_loopback(host) or accepted)
