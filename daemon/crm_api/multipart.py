"""Files beside their fields in one request, as `multipart/form-data` (RFC 7578; REST API Developer Guide, "Insert or
Update Blob Data"): a part in JSON, and one of bytes for the field that is named so. No I/O.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from crmsync.daemon.crm_api.bodies import parse_json
from crmsync.state.replica.faults import Fault

__all__ = ["Part", "boundary_of", "parts", "record_of"]

MOST_PARTS = 100
_BOUNDARY = re.compile(
    r'multipart/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,70})"|([^\s";]{1,70}))', re.IGNORECASE
)
_NAME = re.compile(r'content-disposition:[^\r\n]*?[;\s]name=(?:"([^"\r\n]*)"|([^\s";]+))', re.IGNORECASE)
_JSON = re.compile(r"content-type:\s*application/json", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    is_json: bool
    content: bytes


def boundary_of(content_type: str) -> bytes | None:
    """What separates the parts; None where this is no such request."""
    match = _BOUNDARY.match(content_type.strip())
    return (match[1] or match[2]).encode("latin-1", "replace") if match else None


def parts(body: bytes, boundary: bytes) -> Iterator[Part]:
    """Raises Fault for what does not end as it should, or has a part without a name."""
    mark = b"\r\n--" + boundary
    _, *found = (b"\r\n" + body).split(mark, MOST_PARTS + 1)
    if len(found) < 2 or not found[-1].startswith(b"--"):
        raise _malformed("it does not end with its boundary")
    for each in found[:-1]:
        head, _, content = each.lstrip(b" \t").removeprefix(b"\r\n").partition(b"\r\n\r\n")
        told = head.decode("utf-8", "replace")
        name = _NAME.search(told)
        if name is None:
            raise _malformed("a part has no name")
        yield Part(name[1] or name[2] or "", bool(_JSON.search(told)), content)


def record_of(body: bytes, boundary: bytes) -> Any:
    """The JSON of the first part that is some, with the others as its fields, in base64; raises Fault."""
    found = list(parts(body, boundary))
    told = next((each for each in found if each.is_json or each.name.lower().startswith("entity_")), None)
    if told is None:
        raise _malformed("no part is JSON")
    record = parse_json(told.content)
    if not isinstance(record, dict):
        raise Fault("JSON_PARSER_ERROR", "the part in JSON must be an object")
    files = {each.name: base64.b64encode(each.content).decode() for each in found if each is not told}
    return {**record, **files}


def _malformed(why: str) -> Fault:
    return Fault("INVALID_MULTIPART_REQUEST", f"the multipart request cannot be read: {why}")
