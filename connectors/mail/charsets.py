"""Bytes to text in the charsets of the real world: wrong labels, unknown ones, none at all. Pure."""

import codecs

# What a label means where it does not mean what it says: the larger set that people's programmes really write
# (WHATWG Encoding Standard, "Names and labels").
_MEANT = {
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-8-e": "iso-8859-8",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "x-sjis": "cp932",
    "tis-620": "cp874",
    "unicode-1-1-utf-7": "utf-7",
    "x-mac-roman": "mac-roman",
    "macintosh": "mac-roman",
    "cp-850": "cp850",
}
_NO_CHARSETS = frozenset(
    {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "unicode-escape"}
)


def text_of(data: bytes, label: str | None) -> str:
    """``data`` as text: by its label if it fits, else as UTF-8, else as what Windows writes. Never fails."""
    for name in _candidates(label):
        try:
            return data.decode(name)
        except (UnicodeError, LookupError, ValueError):
            continue
    return data.decode("cp1252", "replace")


def _candidates(label: str | None) -> list[str]:
    name = (label or "").strip().strip("\"'").lower()
    meant = _MEANT.get(name, name)
    named = [meant] if meant and meant.isascii() and meant not in _NO_CHARSETS and _is_known(meant) else []
    # a label of a single-byte set fits anything: text that is UTF-8 all the same is hardly ever anything else
    return ["utf-8", *named] if meant == "cp1252" else [*named, "utf-8"]


def _is_known(name: str) -> bool:
    try:
        return codecs.lookup(name).name not in _NO_CHARSETS
    except (LookupError, ValueError):
        return False
