"""Mutual TLS: the handshake verifies the client's certificate, and the credential says which one it has to be."""

import contextlib
import json
import socket
import ssl
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from crmsync.config.exchange import Exchange
from crmsync.daemon.adaptor.adaptor import Adaptor
from crmsync.daemon.adaptor.checking import checks
from crmsync.daemon.adaptor.communication import MOST_EACH
from crmsync.daemon.adaptor.refusals import Audit
from crmsync.daemon.adaptor.signing import NONCE, TIME
from crmsync.daemon.adaptor.tls import context
from crmsync.daemon.calls import Failure
from crmsync.daemon.crm_api.scheduler import ExchangeScheduler, Target
from tests.daemon.adaptor.certificates import Authority, Paper
from tests.daemon.adaptor.office import REVERSE, Office, credential, until
from tests.daemon.adaptor.test_crm_scheduler import Crms


class House:
    """An office behind TLS; the CRM has a certificate, and so have others."""

    def __init__(
        self, folder: Path, *, by_subject: bool = False, patience: float = 10.0, **more: Any
    ) -> None:
        self.ours, self.theirs = Authority(folder, "ours"), Authority(folder, "theirs")
        server = self.ours.issue("server")
        self.crm = self.ours.issue("crm")
        pinned = {"subject": "CN=crm"} if by_subject else {"certificate": self.crm.fingerprint}
        main = credential(**{"secret": None, **pinned, **more})
        settings = {"certificate": server.file, "key": server.key, "client_ca": self.ours.file}
        both = {"main": main, "signing": credential()}
        self.office = Office(folder, both, patience, settings)

    def ask(self, paper: Paper | None, headers: dict[str, str] | None = None) -> tuple[int, dict[str, Any]]:
        context = ssl.create_default_context(cafile=str(self.ours.file))
        if paper is not None:
            context.load_cert_chain(paper.file, paper.key)
        told = {TIME: str(self.office.time()), NONCE: self.office.nonce()}
        with urllib3.PoolManager(ssl_context=context, retries=False, timeout=60.0) as http:
            body = json.dumps({"accounts": ["alice"]}).encode()
            answer = http.request("POST", self.office.url + REVERSE, body=body, headers=headers or told)
        return answer.status, json.loads(answer.data)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("house"))
    yield made
    made.office.close()


def test_with_its_certificate_the_crm_needs_no_signature(house: House) -> None:
    house.office.world.person()
    status, answer = house.ask(house.crm)
    assert status == 202, answer
    until(lambda: len(house.office.world.contacts()) == 1)
    assert house.office.audit()[0]["credential"] == "main"


def test_without_a_certificate(house: House) -> None:
    status, answer = house.ask(None)
    assert (status, answer["error"]) == (401, "no_credential")
    named = {TIME: str(house.office.time()), NONCE: house.office.nonce(), "x-exchange-credential": "main"}
    status, answer = house.ask(None, named)
    assert (status, answer["error"]) == (401, "no_certificate")
    assert house.office.rules()[:2] == ["no_certificate", "no_credential"]


def test_with_the_certificate_of_somebody_else(house: House) -> None:
    """The authority knows them, the credential does not."""
    status, answer = house.ask(house.ours.issue("crm"))
    assert (status, answer["error"]) == (401, "certificate")
    assert house.office.rules()[0] == "certificate"


@pytest.mark.parametrize(
    ("expired", "why"), [(False, "unable to get local issuer certificate"), (True, "certificate has expired")]
)
def test_with_a_certificate_that_does_not_verify(house: House, expired: bool, why: str) -> None:
    before = len(house.office.audit())
    paper = house.ours.issue("crm", days=-1) if expired else house.theirs.issue("crm")
    with pytest.raises(urllib3.exceptions.HTTPError):
        house.ask(paper)
    until(lambda: len(house.office.audit()) > before)
    line = house.office.audit()[0]
    assert (line["rule"], line["asked"]) == ("certificate", "TLS handshake")
    assert why in line["detail"]


def test_who_speaks_no_tls(house: House) -> None:
    before = len(house.office.audit())
    with pytest.raises(urllib3.exceptions.HTTPError), urllib3.PoolManager(retries=False) as http:
        http.request("POST", f"http://127.0.0.1:{house.office.port}{REVERSE}")
    until(lambda: len(house.office.audit()) > before)
    assert house.office.audit()[0]["rule"] == "tls"


def test_who_speaks_an_old_tls(house: House) -> None:
    context = ssl.create_default_context(cafile=str(house.ours.file))
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with (
        pytest.raises(urllib3.exceptions.HTTPError),
        urllib3.PoolManager(ssl_context=context, retries=False) as http,
    ):
        http.request("POST", house.office.url + REVERSE)


def test_a_signature_does_on_the_same_address(house: House) -> None:
    body = json.dumps({"accounts": ["alice"]}).encode()
    assert house.ask(None, house.office.signed("POST", REVERSE, body, name="signing"))[0] == 202


def test_a_certificate_that_is_renewed_is_known_by_its_subject(tmp_path: Path) -> None:
    house = House(tmp_path, by_subject=True)
    assert house.ask(house.ours.issue("crm"))[0] == 202
    assert house.ask(house.ours.issue("crm2"))[1]["error"] == "certificate"
    house.office.close()


def test_who_has_to_show_both_has_to_show_both(tmp_path: Path) -> None:
    house = House(tmp_path, secret=credential().secret)
    assert house.ask(house.crm)[1]["error"] == "no_signature"
    body = json.dumps({"accounts": ["alice"]}).encode()
    signed = house.office.signed("POST", REVERSE, body)
    assert house.ask(None, signed)[1]["error"] == "no_certificate"
    assert house.ask(house.crm, signed)[0] == 202
    house.office.close()


def test_the_embedded_crm_shows_a_certificate_too(house: House, tmp_path: Path) -> None:
    made = Crms(tmp_path, house.office)
    paper = (str(house.crm.file), str(house.crm.key))
    target = Target(house.office.url, "main", "not needed", str(house.ours.file), paper)
    made.scheduler = ExchangeScheduler(made.crm, target)
    assert made.over(made.add(RunNow__c=True))["State__c"] == "done"
    made.close()


def test_what_is_wrong_with_the_files_is_said_before(house: House, tmp_path: Path) -> None:
    (tmp_path / "broken.pem").write_text("no certificate")
    config = house.office.adaptor.config.model_copy(update={"listen": "127.0.0.1:8760"})
    (line,) = checks(config)
    assert (line["ok"], line["message"]) == (True, "127.0.0.1:8760, TLS; may ask: main, signing")
    (line,) = checks(config.model_copy(update={"key": tmp_path / "broken.pem"}))
    assert (line["ok"], "cannot be used" in line["message"]) == (False, True)


def test_a_handshake_that_does_not_go_on_is_given_up(tmp_path: Path) -> None:
    house = House(tmp_path, patience=0.2)
    with socket.create_connection(("127.0.0.1", house.office.port)) as line:
        line.settimeout(20)
        with contextlib.suppress(ConnectionResetError):
            assert line.recv(1) == b""
    house.office.close()


def test_who_does_not_even_begin_takes_no_place_of_others(tmp_path: Path) -> None:
    """Before the handshake, too, connections are bounded: of one address to fewer than there are."""
    house = House(tmp_path, patience=600)
    with contextlib.ExitStack() as stack:
        idle = [
            stack.enter_context(
                socket.create_connection(
                    ("127.0.0.1", house.office.port), 20, source_address=("127.0.0.9", 0)
                )
            )
            for _ in range(MOST_EACH + 1)
        ]
        idle[-1].settimeout(20)
        with contextlib.suppress(ConnectionResetError):
            assert idle[-1].recv(1) == b""
        assert house.ask(house.crm)[0] == 202
    house.office.close()


def served(house: House) -> str:
    pem = ssl.get_server_certificate(("127.0.0.1", house.office.port))
    return x509.load_pem_x509_certificate(pem.encode()).fingerprint(SHA256()).hex()


def test_a_renewed_certificate_is_shown_after_a_reload(tmp_path: Path) -> None:
    house = House(tmp_path)
    adaptor, config = house.office.adaptor, house.office.adaptor.config
    assert config.certificate is not None
    assert config.key is not None
    before, renewed = served(house), house.ours.issue("server")
    config.certificate.write_bytes(renewed.file.read_bytes())
    adaptor.follow(config)  # its key is not there yet
    assert served(house) == before
    config.key.write_bytes(renewed.key.read_bytes())
    adaptor.follow(config)
    assert served(house) == renewed.fingerprint
    assert house.ask(house.crm)[0] == 202
    others = config.model_copy(update={"client_ca": house.theirs.file})
    adaptor.follow(others)
    with pytest.raises(urllib3.exceptions.HTTPError):
        house.ask(house.crm)
    house.office.close()


def test_a_key_with_a_passphrase_is_refused_in_words_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    paper = Authority(tmp_path, "ours").issue("server")
    key = load_pem_private_key(paper.key.read_bytes(), None)
    locked = BestAvailableEncryption(b"open sesame")
    paper.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    config = Exchange.model_construct(certificate=paper.file, key=paper.key, client_ca=None)
    with pytest.raises(Failure, match="without a passphrase"):
        context(config, Audit(lambda line: None, lambda: datetime.now(UTC)))


def test_an_address_that_was_taken_is_tried_again_at_a_reload(tmp_path: Path) -> None:
    house = House(tmp_path)
    office, config = house.office, house.office.adaptor.config
    with socket.create_server(("127.0.0.1", 0)) as taken:
        there = config.model_copy(update={"listen": f"127.0.0.1:{taken.getsockname()[1]}"})
        other = Adaptor(there, office.turns, office.woken.append, lambda *_: None, office.world.clock)
        other.open()
        assert other.line is None
    other.follow(there)
    assert other.line is not None
    other.close()
    office.close()
