"""``crm serve``: the embedded CRM alone, with the logins that its directory keeps."""

import ipaddress
import json
import os
import secrets
import ssl
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from crmsync.config.hosts import SALESFORCE, valid_host
from crmsync.daemon.calls import Failure
from crmsync.daemon.commands import show
from crmsync.daemon.crm_api.crm import Crm
from crmsync.daemon.crm_api.server import CrmServer, ProxySettings
from crmsync.daemon.crm_api.server import serve as serve_crm
from crmsync.daemon.crm_api.tls import Certificates
from crmsync.daemon.replica.replicas import Replicas
from crmsync.daemon.replica.serving import Passes
from crmsync.state.replica.org import Client, Org, Person

__all__ = ["serve_at", "serve_replica"]


def serve_at(place: Path, users: Sequence[str], **options: Any) -> None:
    """Until SIGINT or SIGTERM; raises Failure (usage) for what cannot be served."""
    logins = place / "logins.json"

    def made() -> tuple[Org, str]:
        return _org(_logins(logins, users), users), f"sqlite:///{(place / 'crm.db').absolute()}"

    server = _server(place, made, **options)
    try:
        serve_crm(
            server,
            announce=lambda _: _say(
                server, "The embedded CRM answers.", f"logins: {logins}", _hosts(options["proxy_hosts"])
            ),
        )
    finally:
        server.stop()


def serve_replica(place: Path, replicas: Replicas, name: str, **options: Any) -> None:
    """The same of a replica, which is brought in step meanwhile."""
    keeper = replicas.chosen([name])[0]
    crm = replicas.services[name]()
    server = _server(place, lambda: (crm.org, ""), crm=crm, **options)
    login = f"log in with the password that crm.{name} knows you by"

    def announce(_: Sequence[str]) -> None:
        _say(server, f"The replica of crm.{name} answers.", login, _hosts(options["proxy_hosts"]))

    try:
        with Passes(replicas, keeper, show.say):
            serve_crm(server, announce=announce)
    finally:
        server.stop()


def _server(
    place: Path,
    made: Callable[[], tuple[Org, str]],
    *,
    host: str,
    port: int,
    https_port: int,
    tls: bool,
    certificate: Path | None,
    key: Path | None,
    proxy: bool,
    proxy_port: int,
    proxy_hosts: Sequence[str],
    crm: Crm | None = None,
) -> CrmServer:
    if not tls and not _loopback(host):
        raise Failure("usage", f"{host} is not loopback: passwords would go there in clear; add --tls")
    own = _own(certificate, key)
    if own is None and not _loopback(host):
        what = f"a certificate made on the spot is for loopback only: for {host} add --certificate and --key"
        raise Failure("usage", what)
    if proxy and own is not None:
        raise Failure("usage", "--proxy needs certificates made on the spot; leave --certificate out")
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        org, database = made()
        return CrmServer(
            org,
            database,
            place / "tls",
            host=host,
            port=port,
            http=not tls,
            https=True,
            https_port=port if tls else https_port,
            certificates=own,
            proxy=ProxySettings(proxy_port, _hosts(proxy_hosts)) if proxy else None,
            crm=crm,
        )
    except OSError as error:
        raise Failure(
            "usage", f"the embedded CRM cannot start: {error}; see --port and --directory"
        ) from error


def _say(server: CrmServer, first: str, logins: str, hosts: Sequence[str]) -> None:
    show.say("\n".join([first, *_announcement(server, hosts), f"  {logins}", "Ctrl-C ends it."]))


def _announcement(server: CrmServer, hosts: Sequence[str]) -> Iterator[str]:
    yield from (f"  {url}" for url in (server.url, server.https_url) if url)
    yield f"  pages for people: {server.url or server.https_url}/crm"
    if server.ca_file is not None:
        yield f"  CA of the HTTPS address: {server.ca_file}"
    if server.proxy_url is not None:
        yield f"  proxy: {server.proxy_url}, for programs that hard-code Salesforce's addresses. In their environment:"
        yield f"    export HTTPS_PROXY={server.proxy_url}"
        yield from (
            f"    export {name}={server.ca_file}"
            for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
        )
        yield f"  It answers for {', '.join(hosts)}, and nothing else."
        yield "  Its CA is good for these names and loopback alone, and installed nowhere."


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _own(certificate: Path | None, key: Path | None) -> Certificates | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise Failure("usage", "--certificate and --key belong together")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: the key has a passphrase
        raise Failure("usage", f"{certificate} and {key} are no certificate and its key: {error}") from None
    return Certificates(certificate, certificate, key)


def _hosts(names: Sequence[str]) -> tuple[str, ...]:
    hosts = tuple(name.lower() for name in names) or SALESFORCE
    wrong = next((name for name in hosts if not valid_host(name)), None)
    if wrong is not None:
        raise Failure(
            "usage", f"--proxy-host {wrong}: expected a name such as login.example.com or *.example.com"
        )
    return hosts


def _org(known: dict[str, Any], users: Sequence[str]) -> Org:
    people = tuple(
        Person(
            name,
            known["users"][name],
            name.partition("@")[0].title(),
            profile="Integration" if name == users[0] else "Standard User",
        )
        for name in users
    )
    client = Client(known["client_id"], known["client_secret"], run_as=users[0])
    return Org("Embedded CRM", people, (client,))


def _logins(file: Path, users: Sequence[str]) -> dict[str, Any]:
    """``{"client_id", "client_secret", "users": {name: password}}``, made on the spot where the file has none."""
    known = _known_logins(file)
    before = json.dumps(known)
    known.setdefault("client_id", "crmsync")
    known.setdefault("client_secret", secrets.token_urlsafe(24))
    passwords = known.setdefault("users", {})
    for name in users:
        passwords.setdefault(name, secrets.token_urlsafe(12))
    if json.dumps(known) != before:
        _write(file, json.dumps(known, indent=2))
    return known


def _known_logins(file: Path) -> dict[str, Any]:
    try:
        known = json.loads(file.read_text("utf-8")) if file.exists() else {}
    except ValueError:
        known = None
    if not isinstance(known, dict) or not isinstance(known.get("users", {}), dict):
        raise Failure(
            "usage",
            f"{file} does not hold the logins that were written there: restore it, or move it away, and new passwords "
            "are made",
        )
    return known


def _write(file: Path, text: str) -> None:
    """Whole or not at all: the passwords in it stand nowhere else."""
    draft = file.with_name(f"{file.name}.new")
    with os.fdopen(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(draft, file)
