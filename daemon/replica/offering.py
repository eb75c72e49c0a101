"""The CRM's own API on its replica, from the configuration of that CRM."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import cache
from pathlib import Path

from crmsync.config.crm import ClientCredentialsLogin, Crm, PasswordLogin
from crmsync.config.secret import SecretError
from crmsync.connectors.http import Http
from crmsync.daemon.replica.crm import ReplicaCrm
from crmsync.daemon.replica.keeper import Keeper
from crmsync.daemon.replica.replicas import Place
from crmsync.daemon.replica.serving import verifier, web_services
from crmsync.state.replica.org import Client as Application

__all__ = ["offered", "place_of"]


def place_of(name: str, config: Crm, folder: Path) -> Place | None:
    """Where the replica of the CRM of that name answers; None: nowhere. `folder`: of the state."""
    settings = config.replica_settings
    return (
        None
        if settings.doors is None
        else Place(*settings.doors, settings.proxy_hosts, folder / f"tls-{name}")
    )


def offered(config: Crm, keeper: Keeper, now: Callable[[], datetime]) -> ReplicaCrm:
    @cache
    def http() -> Http:
        ca_file = str(config.ca_file) if config.ca_file else None
        return Http(config.url, ca_file=ca_file, verify=config.verify, timeout=30.0, now=now)

    def applications() -> tuple[Application, ...]:
        match config.login:
            case PasswordLogin(client_id, secret):
                return (Application(client_id, secret.reveal()),)
            case ClientCredentialsLogin(client_id, secret):
                return (Application(client_id, secret.reveal()),)
        return ()

    def own() -> tuple[str, str] | None:
        match config.login:
            case PasswordLogin(_, _, username, password):
                with suppress(SecretError):  # then nobody has it: who logs in with it waits for the CRM
                    return username, password.reveal()
        return None

    def close() -> None:
        if http.cache_info().currsize:
            http().close()

    crm = web_services(keeper, verifier(http, config.url), applications, own, now=now)
    crm.closers.append(close)
    return crm
