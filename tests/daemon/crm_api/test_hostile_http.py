"""Requests that no friendly client sends: an answer below 500, and the server goes on."""

import http.client
import json
import socket
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.daemon.crm_api.conftest import Api, V

SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SEGMENTS = st.sampled_from(
    ["services", "data", "v59.0", "sobjects", "Contact", "Task", "describe", "query", "queryAll", "composite",
     "batch", "updated", "Crmsync_Id__c", "id", "Soap", "u", "oauth2", "token", "..", "%00", "%ff", "%2F", "'"]
)  # fmt: skip
METHODS = st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS"])


def exchange(api: Api, method: str, target: str, body: bytes = b"") -> int:
    """The status; of a fault 400: what is wrong with a SOAP request is told with 500 (SOAP 1.1, 6.2)."""
    place = urlsplit(api.crm.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    try:
        connection.request(method, target, body=body, headers=api.headers)
        reply = connection.getresponse()
        text = reply.read()
        return 400 if b"<faultcode>sf:" in text else reply.status
    finally:
        connection.close()


@SETTINGS
@example(method="POST", path=["services", "Soap", "u"], body=b"")
@given(method=METHODS, path=st.lists(SEGMENTS, max_size=6), body=st.binary(max_size=60))
def test_any_address(api: Api, method: str, path: list[str], body: bytes) -> None:
    for prefix in ("/", f"{V}/"):
        assert exchange(api, method, prefix + "/".join(path), body) < 500


@SETTINGS
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=30),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    ),
    path=st.sampled_from(
        [
            "sobjects/Contact",
            "composite/sobjects",
            "composite/sobjects/Contact",
            "composite",
            "composite/batch",
        ]
    ),
)
def test_any_body(api: Api, body: object, path: str) -> None:
    names = {
        "records": body,
        "compositeRequest": [body],
        "batchRequests": body,
        "ids": body,
        "fields": ["Id"],
    }
    for content in (body, names, {**names, "records": [body, {"attributes": body}]}):
        assert api("POST", path, raw=json.dumps(content).encode()).status < 500


@SETTINGS
@given(text=st.text(st.characters(codec="utf-8"), max_size=80))
def test_any_query(api: Api, text: str) -> None:
    assert api("GET", "query", q=text).status < 500
    quoted = text.replace("\\", "").replace("'", "")
    assert api("GET", "query", q=f"SELECT Id FROM Contact WHERE LastName = '{quoted}'").status in (200, 400)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<x",
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
        b"<Envelope xmlns='http://schemas.xmlsoap.org/soap/envelope/'><Body><login/></Body></Envelope>",
        b"<Envelope xmlns='http://schemas.xmlsoap.org/soap/envelope/'><Body><query/></Body></Envelope>",
        b"<a>" * 50_000,
    ],
)
def test_soap_answers_faults(nobody: Api, body: bytes) -> None:
    answer = nobody("POST", "/services/Soap/u/59.0", raw=body, headers={"Content-Type": "text/xml"})
    assert answer.status == 500
    assert b"sf:exceptionCode" in answer.body
    assert b"root:" not in answer.body


def test_a_client_that_leaves_in_the_middle(api: Api) -> None:
    place = urlsplit(api.crm.url)
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=30) as client:
        client.sendall(
            b"POST /services/data/v59.0/sobjects/Contact HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{"
        )
    assert api("GET", "").status == 200


def test_connect_opens_nothing(nobody: Api) -> None:
    """A success would be the beginning of a tunnel, by which uvicorn's protocol breaks, with a traceback each."""
    with socket.create_connection(("127.0.0.1", int(nobody.crm.url.rpartition(":")[2])), 20) as line:
        line.sendall(b"CONNECT /services/data HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert line.recv(12) == b"HTTP/1.1 405"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_soap_is_posted(api: Api, method: str) -> None:
    assert exchange(api, method, "/services/Soap/u/59.0") == 405
