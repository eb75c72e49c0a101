"""Folders that stand for what a message is about. Pure.

What separates folders cannot stand in a name, and which character that is depends on the server (Dovecot with Maildir
refuses the dot whatever it separates with): they are written as characters that look the same.
"""

import re

_INSTEAD = {"/": "\uff0f", ".": "\u2024", "\\": "\uff3c"}
_THERE = {ord(a): b for a, b in _INSTEAD.items()}
_BACK = {ord(b): a for a, b in _INSTEAD.items()}
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff*%]")


def folder_name(text: str) -> str:
    """The name of the folder that stands for a text of one line."""
    return text.translate(_THERE)


def named_by(folder: str) -> str:
    return folder.translate(_BACK)


def usable_name(text: str) -> str:
    """As much of a text as the name of a folder of any length can say; empty: nothing."""
    return " ".join(_UNUSABLE.sub(" ", text.translate(_BACK)).split()).lstrip("~#&")
