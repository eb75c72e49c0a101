"""The description of an event or task, which may stand there a second time, with its looks.

Outlook writes HTML into X-ALT-DESC, Thunderbird into the ALTREP of DESCRIPTION (RFC 5545 3.2.1: a ``data:`` URI, or one
that leads to it), RFC 9073 6.5 has STYLED-DESCRIPTION. Clients show that one where they can: left beside a text that
was edited, it would hide the edit. While nobody edits the text, all of it stays byte for byte.
"""

from dataclasses import dataclass

from crmsync.connectors.columns import Type
from crmsync.connectors.contract import Value
from crmsync.connectors.dav.document import Component
from crmsync.connectors.dav.fields import Text
from crmsync.connectors.dav.patch import Editor, chosen, is_blank
from crmsync.connectors.dav.values import ABSENT, Maybe

_STYLED = ("X-ALT-DESC", "STYLED-DESCRIPTION")
_TEXT = Text("DESCRIPTION", Type.LONG)


@dataclass(frozen=True, slots=True)
class Description:
    def read(self, component: Component) -> Maybe:
        """No opinion where it stands there with its looks only: an empty text would be filled from the CRM."""
        if chosen(component.all("DESCRIPTION")) is None and _styled(component):
            return ABSENT
        return _TEXT.read(component)

    def write(self, edit: Editor, value: Value) -> None:
        for name in _STYLED:
            for each in list(edit.component.all(name)):
                edit.remove(each)
        for each in list(edit.component.all("DESCRIPTION")):
            if each.parameter("ALTREP"):
                edit.rewrite(each, each.value, drop=("ALTREP",))
        _TEXT.write(edit, value)

    def project(self, value: Value) -> Maybe:
        return _TEXT.project(value)


def _styled(component: Component) -> bool:
    return any(not is_blank(each) for name in _STYLED for each in component.all(name))
