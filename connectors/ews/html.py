"""The text of an HTML body, for servers that give one although plain text was asked for."""

from html.parser import HTMLParser

_UNSEEN = frozenset({"head", "script", "style", "title"})
_LINES = frozenset({"br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "table", "ul", "ol", "blockquote"})


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._unseen += tag in _UNSEEN
        if tag == "br":
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._unseen = max(0, self._unseen - (tag in _UNSEEN))
        if tag in _LINES and tag != "br":
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.parts.append(" ".join(data.split("\n")) if data.strip() else "")


def plain(html: str) -> str:
    """Words and lines; nothing of it is ever written back unless somebody edits the text."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    lines = (
        line.strip() for line in "".join(parser.parts).replace("\r", "").replace("\xa0", " ").split("\n")
    )
    return "\n".join(lines).strip("\n")
