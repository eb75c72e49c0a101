"""HTML of strangers: what is harmless of it, and what it says in plain text. Pure."""

import html
import re

import nh3

MAX_HTML = 1_000_000  # characters that are looked at
_NO_CONTENT = {"script", "style", "head", "title", "template", "noscript", "iframe", "object", "svg", "math"}
# Without images: those of the message are not there, and those of others tell a stranger who reads it and when.
_TAGS = set(nh3.ALLOWED_TAGS) - {"img", "map", "area", "article", "aside", "nav"}
_BREAK = re.compile(r"<(?:br|/p|/div|/tr|/li|/h[1-6]|/blockquote)\b[^>]{0,500}>", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\u00a0]+")
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,20})")
_ANY_TAG = re.compile(r"<[^<>]{0,2000}>")
_FLAT = frozenset(  # void, or closed by what follows: no depth
    "area base br col dd dt embed hr img input li link meta option p param source td th tr wbr".split()  # noqa: SIM905
)
_DEEPEST = (
    400  # elements in one another: what a programme nests deeper, nobody has written, and it takes minutes
)
_LINES = re.compile(r"\n[ ]?(?:\n[ ]?)+")


def sanitised(text: str) -> str:
    """Nothing in the result runs, is fetched from anywhere, or looks like what it is not."""
    if _too_deep(text):
        return ""
    return nh3.clean(
        text[:MAX_HTML],
        tags=_TAGS,
        clean_content_tags=_NO_CONTENT,
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel="noopener noreferrer",
    ).strip()


def plain(text: str) -> str:
    """The words of an HTML text, line by line as far as it has lines."""
    broken = _BREAK.sub(lambda found: f"{found[0]}\x1e", text[:MAX_HTML].replace("\x1e", " "))
    if _too_deep(text):
        bare = _ANY_TAG.sub(" ", broken)
    else:
        bare = nh3.clean(broken, tags=set(), clean_content_tags=_NO_CONTENT)
    one_line = " ".join(html.unescape(bare).replace("\x1e", " \x1e ").split(" "))
    words = _BLANKS.sub(" ", one_line.replace("\r", " ").replace("\n", " "))
    lines = "\n".join(line.strip() for line in words.split("\x1e"))
    return _LINES.sub("\n\n", lines).strip()


def _too_deep(text: str) -> bool:
    depth = 0
    for closing, name in _TAG.findall(text[:MAX_HTML]):
        if name.lower() not in _FLAT:
            depth = max(0, depth - 1) if closing else depth + 1
            if depth > _DEEPEST:
                return True
    return False
