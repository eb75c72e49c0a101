"""Request bodies: bounded, unzipped if need be, and JSON without surprises."""

import json
import zlib
from typing import Any

from crmsync.state.replica.faults import Fault

__all__ = ["MOST_BYTES", "parse_json", "unzip"]

MOST_BYTES = 50 * 1024 * 1024


def unzip(body: bytes, encoding: str) -> bytes:
    """The body as it was before `Content-Encoding`; raises Fault when it is no such thing, or a bomb."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Fault("UNSUPPORTED_MEDIA_TYPE", f"Content-Encoding {encoding[:20]} is not supported; use gzip")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # recognises gzip and zlib by their headers
    try:
        plain = unpacker.decompress(body, MOST_BYTES + 1)
    except zlib.error:
        raise Fault("JSON_PARSER_ERROR", f"the body is no {encoding}") from None
    if len(plain) > MOST_BYTES:
        raise too_large()
    if not unpacker.eof:
        raise Fault("JSON_PARSER_ERROR", f"the {encoding} body ends too early")
    return plain


def too_large() -> Fault:
    return Fault("REQUEST_TOO_LARGE", f"the request body is larger than {MOST_BYTES} bytes")


def parse_json(body: bytes) -> Any:
    """The value of a JSON text; raises Fault, whatever the text."""
    try:
        return json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
        shown = what.encode("ascii", "backslashreplace").decode()
        raise Fault("JSON_PARSER_ERROR", f"The HTTP entity body is no JSON: {shown}") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
