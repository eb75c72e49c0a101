"""How people log in to the status page, beside links."""

import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from crmsync.config.problems import Expected
from crmsync.config.table import Server, Table
from crmsync.config.values import RequiredSecret, SocketPath, Text


def _header(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{2,63}", value) or value.lower() in _TAKEN:
        raise Expected("the name of a header that the proxy alone writes, such as X-Remote-User")
    return value


_TAKEN = {"host", "origin", "cookie", "authorization", "referer", "sec-fetch-site"}


class ProxyLogin(Table):
    """By a header of a reverse proxy that has asked who it is. The proxy reaches the page over a Unix socket, which
    other programs of this machine cannot use; over TCP the header means nothing."""

    socket: SocketPath = Field(description="Where the proxy reaches the page.")
    group: Text | None = Field(
        None,
        description="The proxy's group, which may use the socket; the service's user has to be in it "
        "(`SupplementaryGroups=` in the unit). Without: nobody but that user and root.",
    )
    header: Annotated[Text, AfterValidator(_header)] = Field(
        "X-Remote-User", description="Who it is; the proxy has to remove what browsers send under this name."
    )


class OidcLogin(Server):
    """By OpenID Connect, with `pip install 'crmsync[oidc]'`. `url` is the issuer; the address to register there is that
    of the page with `/login/oidc/done` behind it."""

    secret_names: ClassVar[tuple[str, ...]] = ("client_secret",)

    client_id: Text = Field(description="Of the application there.")
    client_secret: RequiredSecret = Field(description="Of the application there.")
    claim: Text = Field(
        "email", description="What says who it is; an `email` counts only where the provider has verified it."
    )


class Logins(Table):
    """Beside links. A person is known by the account's name, its `crm_user`, or one of its `addresses`."""

    admins: tuple[Text, ...] = Field(
        (), description="Who of those that log in so sees and decides everything."
    )
    proxy: ProxyLogin | None = Field(None, description="By a header of a reverse proxy.")
    oidc: OidcLogin | None = Field(None, description="By OpenID Connect.")
