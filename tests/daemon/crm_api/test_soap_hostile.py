"""What comes to the SOAP endpoint and should not: every answer is a fault, and none of them takes long."""

import gzip

import pytest
import urllib3

from tests.daemon.crm_api.conftest import Answer, Api
from tests.servers.embedded_crm import embedded_crm

SOAP = "/services/Soap/u/59.0"
OPEN = '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:partner.soap.sforce.com">'
CLOSE = "</e:Envelope>"


def send(api: Api, content: str | bytes, **headers: str) -> Answer:
    raw = content if isinstance(content, bytes) else content.encode()
    return api("POST", SOAP, raw=raw, headers={"Content-Type": "text/xml", "SOAPAction": '""', **headers})


def log_in(api: Api, username: str, password: str) -> Answer:
    body = f"<login><username>{username}</username><password>{password}</password></login>"
    return send(api, f"{OPEN}<e:Body>{body}</e:Body>{CLOSE}")


BOMB = '<!DOCTYPE e [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(12)
)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "UNKNOWN_EXCEPTION"),
        ("nonsense", "UNKNOWN_EXCEPTION"),
        ("\xff\xfe", "UNKNOWN_EXCEPTION"),
        ("<a/>", "INVALID_OPERATION"),
        (f"{OPEN}{CLOSE}", "INVALID_OPERATION"),
        (f"{OPEN}<e:Body/>{CLOSE}", "INVALID_OPERATION"),
        (f"{OPEN}<e:Body><query/></e:Body>{CLOSE}", "INVALID_SESSION_ID"),
        (f"{OPEN}<e:Body><login/></e:Body>{CLOSE}", "INVALID_LOGIN"),
        (f"{BOMB}]>{OPEN}<e:Body><login><username>&m;</username></login></e:Body>{CLOSE}", ""),
        (
            '<!DOCTYPE e [<!ENTITY f SYSTEM "file:///etc/passwd">]>'
            + f"{OPEN}<e:Body><x>&f;</x></e:Body>{CLOSE}",
            "",
        ),
        (f"{OPEN}<e:Body>" + "<a>" * 5_000 + "</a>" * 5_000 + f"</e:Body>{CLOSE}", "UNKNOWN_EXCEPTION"),
    ],
)
def test_what_is_no_request_is_a_fault(nobody: Api, content: str, code: str) -> None:
    answer = send(nobody, content)
    assert answer.status == 500
    assert answer.headers["Content-Type"].startswith("text/xml")
    text = answer.body.decode()
    assert f"<faultcode>sf:{code}" in text
    assert "root:" not in text


def test_a_body_that_unpacks_without_end(nobody: Api) -> None:
    assert send(nobody, gzip.compress(bytes(60 * 1024 * 1024)), **{"Content-Encoding": "gzip"}).status == 500


def test_passwords_cannot_be_tried_at_will() -> None:
    with embedded_crm() as crm, urllib3.PoolManager(retries=False) as pool:
        api = Api(crm, pool)
        said = [log_in(api, crm.bob.username, "wrong").body.decode() for _ in range(6)]
        assert all("sf:INVALID_LOGIN" in each for each in said[:5])
        assert "sf:LOGIN_RATE_EXCEEDED" in said[5]
        assert "sf:LOGIN_RATE_EXCEEDED" in log_in(api, crm.bob.username, crm.bob.password).body.decode()
        assert log_in(api, crm.alice.username, crm.alice.password).status == 200
