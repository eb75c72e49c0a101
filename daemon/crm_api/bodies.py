"""Request bodies: bounded, unzipped if need be, and JSON without surprises."""

import json
import math
import zlib
from typing import Any, NoReturn

from crmsync.state.replica.faults import Fault

__all__ = ["MOST_BYTES", "beginning", "is_zipped", "parse_json", "too_large", "unzip"]

MOST_BYTES = 50 * 1024 * 1024
MOST_PARTS = 1_000_000  # objects and lists of a JSON text: two bytes each there, and sixty in memory
_PLAIN = ("", "identity")
_DETECT = zlib.MAX_WBITS | 32  # gzip and zlib, by their headers


def is_zipped(encoding: str) -> bool:
    return encoding.strip().lower() not in _PLAIN


def beginning(body: bytes, encoding: str, most: int) -> bytes:
    """So many bytes of it at most, as far as they can be read."""
    if not is_zipped(encoding):
        return body[:most]
    try:
        return zlib.decompressobj(_DETECT).decompress(body, most)
    except zlib.error:
        return b""


def unzip(body: bytes, encoding: str, most: int = MOST_BYTES) -> bytes:
    """The body as it was before `Content-Encoding`; raises Fault when it is no such thing, or a bomb."""
    encoding = encoding.strip().lower()
    if encoding in _PLAIN:
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Fault("UNSUPPORTED_MEDIA_TYPE", f"Content-Encoding {encoding[:20]} is not supported; use gzip")
    unpacker = zlib.decompressobj(_DETECT)
    try:
        plain = unpacker.decompress(body, most + 1)
    except zlib.error:
        raise Fault("JSON_PARSER_ERROR", f"the body is no {encoding}") from None
    if len(plain) > most:
        raise too_large(most)
    if not unpacker.eof:
        raise Fault("JSON_PARSER_ERROR", f"the {encoding} body ends too early")
    return plain


def too_large(most: int = MOST_BYTES) -> Fault:
    return Fault("REQUEST_TOO_LARGE", f"the request body is larger than {most} bytes")


def parse_json(body: bytes) -> Any:
    """The value of a JSON text; raises Fault, whatever the text."""
    if body.count(b"{") + body.count(b"[") > MOST_PARTS:
        raise Fault("REQUEST_TOO_LARGE", f"the request body has more than {MOST_PARTS} objects and lists")
    try:
        return json.loads(body, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
        shown = what.encode("ascii", "backslashreplace").decode()
        raise Fault("JSON_PARSER_ERROR", f"The HTTP entity body is no JSON: {shown}") from None


def _finite(text: str) -> float:
    """`1e400` would be infinite, which nothing that follows expects."""
    number = float(text)
    return number if math.isfinite(number) else _no_constant(text[:40])


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
