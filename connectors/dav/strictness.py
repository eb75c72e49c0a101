"""What makes an object unfit to be read although its lines can be told apart: rules whose breach leaves it open what a
column is. A guess would bring half of a value, or one of two, to the other side. All else that is odd is let be."""

from collections.abc import Set

from crmsync.connectors.dav.document import Component
from crmsync.connectors.dav.item import Malformed
from crmsync.connectors.dav.patch import is_blank


def whole_values(component: Component, names: Set[str]) -> None:
    """``names``: properties whose text may run over several lines. A line break that nobody folded or escaped makes a
    line without a name of the rest; such a line after another property is nobody's value."""
    for name in sorted(component.torn & names):
        raise Malformed(
            f"after its {name} stands a line that is no property, perhaps the rest of it: values are folded "
            "(RFC 5545 3.1, RFC 6350 3.2)"
        )


def said_once(component: Component, names: Set[str], rule: str) -> None:
    """``rule``: where it is said that these properties must not stand there twice. Blank ones say nothing."""
    for name, lines in component.by_name.items():
        if len(lines) > 1 and name in names and len([each for each in lines if not is_blank(each)]) > 1:
            raise Malformed(f"it has more than one {name} ({rule})")
