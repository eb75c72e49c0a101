"""Exchange logins. Their connector is imported when the first one is made: exchangelib takes most of a second to load,
and only who has an Exchange server has installed it."""

from typing import TYPE_CHECKING, Unpack

from crmsync.config.source import Source as SourceConfig
from crmsync.connectors.contract import Source

if TYPE_CHECKING:
    from crmsync.connectors.ews.auth import Login
    from crmsync.connectors.ews.connector import Settings


def exchange(config: SourceConfig, **settings: "Unpack[Settings]") -> Source:
    """Raises SecretError."""
    from crmsync.connectors.ews.connector import EwsSource

    mailbox, impersonate = config.mailbox or "", config.impersonates
    return EwsSource(config.url, _login(config), mailbox=mailbox, impersonate=impersonate, **settings)


def _login(config: SourceConfig) -> "Login":
    from crmsync.connectors.ews.auth import Basic, ClientCredentials, Ntlm, Token

    username = config.username or ""
    match config.auth:
        case "basic":
            return Basic(username, config.password.reveal() if config.password else "")
        case "ntlm":
            return Ntlm(username, config.password.reveal() if config.password else "")
        case "token":
            return Token(config.token.reveal() if config.token else "")
        case "client_credentials":
            secret = config.client_secret.reveal() if config.client_secret else ""
            return ClientCredentials(config.client_id or "", secret, config.token_url or "")
