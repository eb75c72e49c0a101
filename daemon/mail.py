"""Logins to mail servers. Their connector is imported when the first one is made: not everybody has one."""

from urllib.parse import urlsplit

from crmsync.config.account import Account as AccountConfig
from crmsync.config.account import Source as SourceConfig
from crmsync.config.values import is_loopback
from crmsync.connectors.contract import Source

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
    settings = Settings(
        tag=account.tag,
        keyword=config.keyword or "",
        folder=config.tag_folder,
        folders=config.folders or (),
        addresses=_addresses(account, config),
        attachment_limit=config.max_attachment,
        track_answers=config.track_answers,
        file=config.move_messages,
        delete_messages=config.delete_messages,
    )
    password = config.password.reveal() if config.password else ""
    others = _others(config)
    return MailSource(server, config.username or "", password, settings, others=others)


def mail_outlook(account: AccountConfig, config: SourceConfig) -> str:
    """What decides how a message in somebody else's mailbox reads through this login."""
    words = (account.tag, config.keyword, config.tag_folder, config.max_attachment, config.move_messages)
    addresses = _addresses(account, config)
    himself = any("@" not in name or name.lower() in addresses for name in _others(config))
    return repr((words, sorted(addresses) if himself else ()))


def _others(config: SourceConfig) -> list[str]:
    return [name for name in config.collections or () if name != _OWN]


def _addresses(account: AccountConfig, config: SourceConfig) -> frozenset[str]:
    """The person's own."""
    own = [*account.addresses, *(a for a in (config.username, account.crm_user) if a and "@" in a)]
    return frozenset(a.lower() for a in own)


def _in_secret(config: SourceConfig, ca_file: str | None) -> bool:
    """Whether a connection that begins in clear has to change to TLS: not on this machine, unless an authority is given
    for it, nor where somebody has accepted that passwords can be read."""
    host = urlsplit(config.url).hostname or ""
    accepted = config.verify and (config.insecure_host or "").lower() == host
    return bool(ca_file) or not (is_loopback(host) or accepted)
