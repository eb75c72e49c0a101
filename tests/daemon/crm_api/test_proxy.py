"""The CONNECT proxy: programs that hard-code Salesforce's addresses, and requests of the other kind."""

import asyncio
import http.client
import socket
import ssl
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import urllib3

from crmsync.config.hosts import SALESFORCE, valid_host
from crmsync.daemon.crm_api.proxy import LONGEST_HEAD, Proxy, intercepted
from crmsync.daemon.crm_api.server import CrmServer, ProxySettings
from crmsync.state.replica.org import Org, Person

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own imports
    import simple_salesforce

ORG = Org("Example", (Person("sync@example.com", "sync-password", "Sync", profile="Integration"),), effort=2)


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrmServer]:
    place = tmp_path_factory.mktemp("proxied")
    with CrmServer(
        ORG, f"sqlite:///{place}/crm.db", place / "tls", https=True, proxy=ProxySettings(), durable=False
    ) as server:
        yield server


def port(crm: CrmServer) -> int:
    assert crm.proxy_url is not None
    return int(crm.proxy_url.rpartition(":")[2])


def asked(crm: CrmServer, request: bytes) -> bytes:
    """Everything that comes back, until the proxy closes."""
    with socket.create_connection(("127.0.0.1", port(crm)), timeout=60) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


def test_simple_salesforce_at_its_own_address(crm: CrmServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the environment says that this is not Salesforce."""
    assert crm.proxy_url is not None
    monkeypatch.setenv("HTTPS_PROXY", crm.proxy_url)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(crm.ca_file))
    sf = simple_salesforce.Salesforce(
        username="sync@example.com", password="sync-password", security_token=""
    )
    with sf.session:
        assert sf.sf_instance == "login.salesforce.com"
        made = sf.Account.create({"Name": "through the proxy"})
        assert sf.query(f"SELECT Name FROM Account WHERE Id = '{made['id']}'")["totalSize"] == 1


def test_an_organisations_address(crm: CrmServer) -> None:
    trust = ssl.create_default_context(cafile=str(crm.ca_file))
    with urllib3.ProxyManager(str(crm.proxy_url), ssl_context=trust, retries=False) as pool:
        for _ in range(2):
            found = pool.request("GET", "https://acme.my.salesforce.com/services/data")
            assert (found.status, found.json()[-1]["version"]) == (200, "68.0")
        for stranger in ("https://example.com/", "https://salesforce.com/"):
            with pytest.raises(urllib3.exceptions.ProxyError, match="403"):
                pool.request("GET", stranger)


def test_whoever_does_not_trust_the_ca_notices(crm: CrmServer) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(
            "https://login.salesforce.com/services/data", proxies={"https": str(crm.proxy_url)}, timeout=10
        )


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"CONNECT example.com:443 HTTP/1.1", 403),
        (b"CONNECT login.salesforce.com:22 HTTP/1.1", 403),
        (b"CONNECT login.salesforce.com.evil.example:443 HTTP/1.1", 403),
        (b"CONNECT evil.example.login.salesforce.com:443 HTTP/1.1", 403),
        (b"CONNECT a.b.my.salesforce.com:443 HTTP/1.1", 403),
        (b"CONNECT my.salesforce.com:443 HTTP/1.1", 403),
        (b"CONNECT 127.0.0.1:443 HTTP/1.1", 403),
        (b"CONNECT [::1]:443 HTTP/1.1", 400),
        (b"CONNECT login.salesforce.com HTTP/1.1", 400),
        (b"CONNECT login.salesforce.com:99999999 HTTP/1.1", 400),
        (b"CONNECT user@login.salesforce.com:443 HTTP/1.1", 400),
        (b"CONNECT login.salesforce.com%00.example.com:443 HTTP/1.1", 400),
        (b"CONNECT https://login.salesforce.com:443/ HTTP/1.1", 400),
        (b"CONNECT  login.salesforce.com:443 HTTP/1.1", 400),
        (b"CONNECT login.salesforce.com:443 HTTP/2", 400),
        (b"CONNECT \xc4\xb1ogin.salesforce.com:443 HTTP/1.1", 400),
        (b"GET http://login.salesforce.com/ HTTP/1.1", 405),
        (b"GET /services/data HTTP/1.1", 405),
        (b"connect login.salesforce.com:443 HTTP/1.1", 405),
        (b"CONNECT login.salesforce.com:443 HTTP/1.1\r\nno header", 400),
        (b"CONNECT login.salesforce.com:443 HTTP/1.1\r\n folded: 1", 400),
        (b"CONNECT login.salesforce.com:443 HTTP/1.1\nHost: a", 400),
        (b"\x16\x03\x01\x02\x00\x01", 400),
    ],
)
def test_what_is_refused(crm: CrmServer, request_line: bytes, status: int) -> None:
    answer = asked(crm, request_line + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.partition(b"\r\n\r\n")[2].endswith(b"\n")


def test_a_head_without_end(crm: CrmServer) -> None:
    assert asked(crm, b"CONNECT a:443 HTTP/1.1\r\nX: " + b"x" * 2 * LONGEST_HEAD).startswith(b"HTTP/1.1 431")


def test_the_host_in_the_tunnel_changes_nothing(crm: CrmServer) -> None:
    """What is asked inside goes to the CRM, whatever it calls itself."""
    trust = ssl.create_default_context(cafile=str(crm.ca_file))
    connection = http.client.HTTPSConnection("127.0.0.1", port(crm), context=trust, timeout=60)
    connection.set_tunnel("login.salesforce.com", 443)
    connection.request("GET", "/services/data", headers={"Host": "example.com"})
    assert connection.getresponse().status == 200
    connection.close()


def test_a_hello_that_comes_with_the_request(crm: CrmServer) -> None:
    """Some do not wait for the 200."""
    trust = ssl.create_default_context(cafile=str(crm.ca_file))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trust.wrap_bio(incoming, outgoing, server_hostname="login.salesforce.com")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with socket.create_connection(("127.0.0.1", port(crm)), timeout=60) as connection:
        connection.sendall(b"CONNECT login.salesforce.com:443 HTTP/1.1\r\n\r\n" + outgoing.read())
        answer = b""
        while len(answer) < 200:
            answer += connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.partition(b"\r\n\r\n")[2].startswith(b"\x16\x03")


def test_those_who_say_nothing_and_those_who_are_too_many() -> None:
    async def answers() -> list[bytes]:
        proxy = Proxy(SALESFORCE, ("127.0.0.1", 1), patience=0.05, most=1)
        server = await asyncio.start_server(proxy.answer, "127.0.0.1", 0, limit=LONGEST_HEAD)
        async with server:
            place = server.sockets[0].getsockname()[1]
            connections = [await asyncio.open_connection("127.0.0.1", place) for _ in range(2)]
            found = [await reader.read() for reader, _ in connections]
            for _, writer in connections:
                writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", place)
            writer.write(b"CONNECT login.salesforce.com:443 HTTP/1.1\r\n\r\n")
            found.append(await reader.read())
            writer.close()
        return found

    silent, second, nobody = asyncio.run(answers())
    assert silent.startswith(b"HTTP/1.1 408 ")
    assert second.startswith(b"HTTP/1.1 503 ")
    assert nobody.startswith(b"HTTP/1.1 502 ")


def test_names() -> None:
    assert all(valid_host(name) for name in SALESFORCE)
    assert not any(
        valid_host(name) for name in ("*", "*.com", "com", "a..b", "*.*.a.com", "a_b.com", "x.com/")
    )
    assert intercepted("acme.my.salesforce.com", SALESFORCE)
    assert not intercepted("my.salesforce.com", SALESFORCE)


def test_the_ca_vouches_for_nothing_else(crm: CrmServer, tmp_path: Path) -> None:
    """A certificate that the CA's key signed for another name is not accepted."""
    from crmsync.daemon.crm_api import tls
    from crmsync.daemon.crm_api.crm import system_clock

    assert crm.ca_file is not None
    for name in ("ca.pem", "ca.key"):
        (tmp_path / name).write_bytes((crm.ca_file.parent / name).read_bytes())
    assert stat.S_IMODE((crm.ca_file.parent / "ca.key").stat().st_mode) == 0o600
    authority = tls._kept(tmp_path, system_clock(), SALESFORCE)
    assert authority is not None
    forged = tls._certificate(authority, system_clock(), ("www.example.com",))
    trust = ssl.create_default_context(cafile=str(crm.ca_file))
    assert trusted(trust, *forged, "localhost", tmp_path) != ""
    assert (
        trusted(
            trust, *tls._certificate(authority, system_clock(), SALESFORCE), "login.salesforce.com", tmp_path
        )
        == ""
    )


def trusted(trust: ssl.SSLContext, certificate: bytes, key: bytes, name: str, place: Path) -> str:
    """What the handshake fails with, by a client that trusts so much."""
    (place / "pair.pem").write_bytes(certificate + key)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(place / "pair.pem")
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.wrap_bio(back, there, server_hostname=name)
    server = served.wrap_bio(there, back, server_side=True)
    for _ in range(5):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                return error.verify_message
    return ""


def test_a_crm_that_listens_on_another_address_of_loopback(tmp_path: Path) -> None:
    for host in ("::1", "127.0.0.2"):
        place = tmp_path / host.replace(":", "_")
        with (
            CrmServer(
                ORG,
                f"sqlite:///{place}/crm.db",
                place / "tls",
                host=host,
                https=True,
                proxy=ProxySettings(hosts=("crm.example.com",)),
                durable=False,
            ) as server,
            urllib3.ProxyManager(str(server.proxy_url), ca_certs=str(server.ca_file), retries=False) as pool,
        ):
            assert str(server.proxy_url).startswith("http://127.0.0.1:")
            assert pool.request("GET", "https://crm.example.com/services/data").status == 200
