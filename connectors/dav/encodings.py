"""Encodings of vCard 2.1 and vCalendar 1.0 that later versions did away with, still met every day."""

import quopri
import re
from base64 import b64decode

_LINE_END = re.compile(r"\r\n?|\n")


def decoded(value: str, encoding: str, charset: str) -> str:
    """``encoding``: upper case, as the parameter says. The text is escaped as if it had been written plainly: its line
    breaks are ``\\n``. What cannot be decoded is returned as it is."""
    try:
        if encoding == "QUOTED-PRINTABLE":
            data = quopri.decodestring(value.encode())
        elif encoding in ("BASE64", "B"):
            data = b64decode(value, validate=False)
        else:
            return value
    except ValueError:  # not base64 after all
        return value
    return _LINE_END.sub(r"\\n", _text(data, charset))  # escaped, as everything else in it


def _text(data: bytes, charset: str) -> str:
    for name in (charset, "utf-8", "cp1252"):
        try:
            return data.decode(name)
        except (LookupError, ValueError):
            continue  # a charset that nobody knows, or a false claim: the next guess
    return data.decode("latin-1")
