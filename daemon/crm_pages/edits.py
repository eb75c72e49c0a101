"""What a form means: which fields were changed in it, and which of them have changed in the CRM as well. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from crmsync.daemon.crm_pages.shapes import Field, Section
from crmsync.daemon.crm_pages.values import from_form, to_form

__all__ = ["Meeting", "changes", "met", "writable"]


def writable(sections: Sequence[Section]) -> list[Field]:
    return [item.field for section in sections for item in section.items if item.writable]


def changes(
    fields: Sequence[Field], was: Mapping[str, str], now: Mapping[str, str], zone: ZoneInfo
) -> dict[str, Any]:
    """For the API: what the person changed, and nothing else. `was` and `now` are texts of a form."""
    return {
        each.name: from_form(each, now.get(each.name, ""), zone)
        for each in fields
        if _plain(now.get(each.name, "")) != _plain(was.get(each.name, ""))
    }


@dataclass(frozen=True, slots=True)
class Meeting:
    """A form that was made from an older version, as it is shown again."""

    values: Mapping[str, str]  # mine where I changed it, else what is there now
    both: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # field -> (mine, theirs): decide
    theirs: Mapping[str, str] = field(default_factory=dict)  # changed in the CRM alone: taken over


def met(
    fields: Sequence[Field],
    was: Mapping[str, str],
    mine: Mapping[str, str],
    record: Mapping[str, Any],
    zone: ZoneInfo,
) -> Meeting:
    values: dict[str, str] = {}
    both: dict[str, tuple[str, str]] = {}
    theirs: dict[str, str] = {}
    for each in fields:
        name = each.name
        now = to_form(each, record.get(name), zone)
        old, new = _plain(was.get(name, "")), _plain(mine.get(name, ""))
        if new == old or new == _plain(now):  # not mine, or agreed
            values[name] = now
            if _plain(now) != old and new != _plain(now):
                theirs[name] = now
        else:
            values[name] = new
            if _plain(now) != old:
                both[name] = (new, now)
    return Meeting(values, both, theirs)


def _plain(text: str) -> str:
    """Browsers send line ends of their own."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
