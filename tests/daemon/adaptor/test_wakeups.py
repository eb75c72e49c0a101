"""Messages that wake: no data, no grant, no more often than once in a while."""

import json
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from crmsync.config.secret import ClearSecret
from tests.daemon.adaptor.office import Office, credential, until

ORGANISATION = "00D000000000001AAA"
ENVELOPE = """<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <soapenv:Body>
  <notifications xmlns="http://soap.sforce.com/2005/09/outbound">
   <OrganizationId>{organisation}</OrganizationId>
   <ActionId>04k000000000001AAA</ActionId>
   <SessionId xsi:nil="true"/>
   <EnterpriseUrl>https://crm.example.com/services/Soap/c/59.0/00D</EnterpriseUrl>
   <PartnerUrl>https://crm.example.com/services/Soap/u/59.0/00D</PartnerUrl>
   {notifications}
  </notifications>
 </soapenv:Body>
</soapenv:Envelope>"""
NOTIFICATION = """<Notification><Id>04l000000000001AAA</Id>
    <sObject xsi:type="sf:Contact" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">
     <sf:Id>{id}</sf:Id><sf:LastName>Lovelace</sf:LastName>{more}
    </sObject></Notification>"""
HERS = NOTIFICATION.format(id="003000000000001AAA", more="")


def message(notifications: str = HERS, organisation: str = ORGANISATION) -> bytes:
    return ENVELOPE.format(organisation=organisation, notifications=notifications).encode()


def hook(office: Office, said: bytes = b"", token: str = "") -> tuple[int, dict[str, Any]]:
    return office.send("POST", "/exchange/v1/wake", said, {"Authorization": f"Bearer {token}"})


# ── A plain webhook ──────────────────────────────────────────────────────────────────────────────────────────


PLAIN = "a-token-without-blanks-in-it"


@pytest.fixture
def plain(tmp_path: Path) -> Any:
    one = credential(wake_token=ClearSecret(PLAIN), organisation=ORGANISATION)
    made = Office(tmp_path, {"main": one})
    yield made
    made.close()


@pytest.mark.parametrize("said", [b"", b"{}", b'{"accounts": ["alice"]}', b'{"event": "saved", "id": 7}'])
def test_a_webhook_wakes(plain: Office, said: bytes) -> None:
    assert hook(plain, said, PLAIN) == (202, {"woken": ["alice"]})
    assert plain.woken == ["alice"]
    (line,) = plain.audit()
    assert (line["allowed"], line["credential"], line["detail"]) == (True, "main", "woken: alice")


def test_with_a_wrong_token_it_does_not(plain: Office) -> None:
    for token in ("", "wrong", PLAIN + "x"):
        assert hook(plain, b"", token)[0] == 401
    assert plain.rules() == ["token"] * 3
    assert plain.woken == []


def test_nor_somebody_else(plain: Office) -> None:
    assert hook(plain, b'{"accounts": ["bob"]}', PLAIN)[1]["error"] == "account"
    assert plain.woken == []


def test_to_wake_is_not_to_exchange(plain: Office) -> None:
    plain.world.person()
    hook(plain, b"", PLAIN)
    plain.world.sync()
    assert plain.world.contacts() == []


# ── An outbound message ──────────────────────────────────────────────────────────────────────────────────────


def send(office: Office, body: bytes, path: str = f"/exchange/v1/outbound/{PLAIN}") -> tuple[int, bytes]:
    headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}
    answer = office.http.request("POST", office.url + path, body=body, headers=headers)
    return answer.status, answer.data


def test_an_outbound_message_is_acknowledged_and_wakes(plain: Office) -> None:
    status, answer = send(plain, message())
    assert status == 200
    ack = etree.fromstring(answer).find(".//{http://soap.sforce.com/2005/09/outbound}Ack")
    assert ack is not None
    assert ack.text == "true"
    assert plain.woken == ["alice"]
    assert PLAIN not in json.dumps(plain.audit())


def test_it_wakes_whoever_is_linked_to_the_record(plain: Office) -> None:
    plain.world.person()
    plain.done()
    record = plain.world.the_record().id
    with plain.world.state.reading() as tx:
        assert [p.account for p in tx.pairs.find(record)] == ["alice"]
    send(plain, message(NOTIFICATION.format(id="003000000000009AAA", more="")))
    assert plain.woken == ["alice"]  # nobody knows that record: everybody


def test_of_another_organisation_it_is_refused(plain: Office) -> None:
    status, answer = send(plain, message(organisation="00D000000000002AAA"))
    assert (status, json.loads(answer)["error"]) == (403, "organisation")
    assert plain.rules() == ["organisation"]
    assert plain.woken == []


def test_the_short_form_of_the_id_is_the_same_organisation(plain: Office) -> None:
    assert send(plain, message(organisation=ORGANISATION[:15]))[0] == 200


def test_with_a_wrong_token_it_is_refused(plain: Office) -> None:
    assert send(plain, message(), "/exchange/v1/outbound/guessed")[0] == 401
    assert plain.rules() == ["token"]
    assert "guessed" not in json.dumps(plain.audit())


ENTITY = b'<!DOCTYPE e [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
LAUGHS = (
    b'<!DOCTYPE e [<!ENTITY a "ha"><!ENTITY b "' + b"&a;" * 100 + b'"><!ENTITY c "' + b"&b;" * 100 + b'">]>'
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<",
        b"<a/>",
        ENTITY + b"<e>&x;</e>",
        LAUGHS + b"<e>&c;</e>",
        message().replace(b"?>", b"?>" + ENTITY, 1),
        message().replace(b"?>", b"?>" + LAUGHS, 1).replace(ORGANISATION.encode(), b"&c;"),
        message(""),
        message(HERS * 101),
        b"<a>" * 5000,
        b"\x00" * 100,
    ],
)
def test_hostile_xml(plain: Office, body: bytes) -> None:
    status, answer = send(plain, body)
    assert status in (400, 403)
    assert b"root:" not in answer
    assert len(plain.rules()) == 1
    assert plain.woken == []


def test_an_outbound_message_grants_nothing(plain: Office) -> None:
    plain.world.person()
    send(plain, message())
    until(lambda: plain.woken == ["alice"])
    plain.world.sync()
    assert plain.world.contacts() == []
    assert plain.world.engine.exchange_jobs() == []


def test_a_token_that_cannot_be_used_closes_nobody_elses_door(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    short, good = credential(wake_token=ClearSecret("short")), credential(wake_token=ClearSecret(PLAIN))
    office = Office(tmp_path, {"main": good, "other": short})
    assert "[exchange.credential.other]: a secret cannot be used: it has less than" in caplog.text
    assert hook(office, b"", PLAIN)[0] == 202
    assert hook(office, b"", "short")[1]["error"] == "unavailable"
    office.close()
