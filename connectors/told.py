"""What servers say, as far as it may be told to everybody who reads a log."""

import re

# Values are quoted in all ways, and may hold quotes themselves: from the first sign that opens to the last that closes.
# An address may stand without any.
_QUOTED = re.compile(r"(?<!\w)b?['\"‘“„«‹](?:.*['\"’”“»›](?!\w)|.*)")
_ADDRESS = re.compile(r"\S*@\S*")
_LONGEST = 1000  # characters that are looked at
_TOLD = 200


def brief(text: str) -> str:
    """One line of what a server says, as far as a person can use it: without what it quotes of an item, and without
    addresses."""
    return _ADDRESS.sub("…", _QUOTED.sub("…", one_line(text)))[:_TOLD]


def one_line(text: str) -> str:
    """Bounded: servers put anything into it."""
    return "".join(c for c in " ".join(text[:_LONGEST].split()) if c.isprintable())
