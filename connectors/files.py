"""Files that do not travel with their item are named instead: by a short text in their place."""

import base64
import binascii

from crmsync.connectors.contract import Attachment

NOT_COPIED = " (not copied).txt"  # behind the name of what stays where it is


def named(name: str, why: str, where: str = "") -> Attachment:
    """The text that stands for a file. ``where``: an address at which a person finds it."""
    text = f"{name}: {why}.\n" + (f"{where}\n" if where.startswith(("http://", "https://")) else "")
    data = text.encode()
    return Attachment(f"{name}{NOT_COPIED}", "text/plain", len(data), lambda: data)


def told(name: str) -> str:
    """The name of the file for which one stands."""
    return name.removesuffix(NOT_COPIED)


def size(count: int) -> str:
    for unit, one in (("GB", 10**9), ("MB", 10**6), ("KB", 1000)):
        if count >= one:
            return f"{round(count / one)} {unit}"
    return f"{count} bytes"


def decoded(text: str) -> bytes:
    """Nothing, where it is not base64."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""
