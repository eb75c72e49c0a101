"""Writes docs/configuration.md from the model: ``python -m crmsync.config.reference > docs/configuration.md``."""

import json
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefinedType

from crmsync.config.account import Account, Complete, DefaultCollection, Delete, GuardOverride
from crmsync.config.alerts import Alerts, MailAlerts, WebhookAlerts
from crmsync.config.crm import ColumnOverride, Crm
from crmsync.config.exchange import Columns, Credential, Exchange
from crmsync.config.logins import Logins, OidcLogin, ProxyLogin
from crmsync.config.mapping import defaults
from crmsync.config.model import Schedule, Service, State
from crmsync.config.replica import ReplicaSettings
from crmsync.config.secret import Secret
from crmsync.config.source import Source
from crmsync.config.table import Table
from crmsync.config.telephony import Softphone, Telephony
from crmsync.config.values import KINDS, Bytes, shown, shown_size

SECTIONS: tuple[tuple[str, type[Table]], ...] = (
    ("[state]", State),
    ("[schedule]", Schedule),
    ("[service]", Service),
    ("[login]", Logins),
    ("[login.proxy]", ProxyLogin),
    ("[login.oidc]", OidcLogin),
    ("[exchange]", Exchange),
    ("[exchange.credential.NAME]", Credential),
    ("[exchange.credential.NAME.columns]", Columns),
    ("[alerts]", Alerts),
    ("[alerts.mail]", MailAlerts),
    ("[alerts.webhook]", WebhookAlerts),
    ("[softphone]", Softphone),
    ("[telephony.NAME]", Telephony),
    ("[crm.NAME]", Crm),
    ("[crm.NAME.mapping.KIND.COLUMN]", ColumnOverride),
    ("[crm.NAME.replica_settings]", ReplicaSettings),
    ("[account.NAME]", Account),
    ("[account.NAME.default_collection]", DefaultCollection),
    ("[account.NAME.delete]", Delete),
    ("[account.NAME.complete]", Complete),
    ("[account.NAME.guard.KIND]", GuardOverride),
    ("[[account.NAME.source]]", Source),
)

INTRODUCTION = """\
# Configuration

<!-- Made by python -m crmsync.config.reference; a test compares. -->

One TOML file: `--config FILE`, else `$CRMSYNC_CONFIG`, else `/etc/crmsync/config.toml`, else
`~/.config/crmsync/config.toml`. `crmsync init` writes one to start from, `crmsync check` tries it out.

Unknown keys and wrong values are errors. All of them are reported at once, each with its key, what was found and what
was expected; nothing starts before the file is right.

- **Names** (`NAME`) consist of `a` to `z`, `0` to `9`, `_` and `-`. **Kinds** (`KIND`) are `contact`, `appointment` and
  `task`.
- **Durations** are a number with `s`, `m`, `h`, `d` or `w`: `"60s"`, `"10m"`, `"24h"`, `"90d"`. **Sizes** have `KB` or
  `MB`: `"5MB"`.
- **Paths** that are relative start at the folder of the file.
- **Secrets** stand outside of the file. Wherever a table has a secret, here `password`, exactly one of these is
  written:

| key | the secret is |
| --- | --- |
| `password_file` | in that file, and nothing else; a line break at its end does not count |
| `password_command` | printed by that command, a list or one text to be split; no shell, 10 seconds |
| `password_env` | in that environment variable |
| `password_credential` | the systemd credential of that name: `LoadCredential=NAME:/path` in the unit |
| `password` | here in clear, which is unwise |

Secrets are read when they are needed, so a changed one needs no restart.
"""


def text() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    parts += [_section(heading, table) for heading, table in SECTIONS]
    parts.append(_mapping())
    return "\n".join(parts)


def _section(heading: str, table: type[Table]) -> str:
    fields = [(n, f) for n, f in table.model_fields.items() if not _has_own_section(f)]
    fields.sort(key=lambda item: (item[0] != "type", not item[1].is_required()))
    lines = [
        f"## `{heading}`",
        "",
        table.__doc__ or "",
        "",
        "| key | value | default | meaning |",
        "| --- | --- | --- | --- |",
    ]
    lines += [_row(name, field, table) for name, field in fields]
    return "\n".join([*lines, ""])


def _row(name: str, field: FieldInfo, table: type[Table]) -> str:
    key = f"`{name}_…`" if name in table.secret_names else f"`{name}`"
    return f"| {key} | {_value(field.annotation)} | {_default(field)} | {field.description} |"


def _has_own_section(field: FieldInfo) -> bool:
    return any(isinstance(t, type) and issubclass(t, Table) for t in _types(field.annotation))


def _types(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in get_args(annotation):
        yield from _types(inner)


def _value(annotation: Any) -> str:
    types = list(_types(annotation))
    if any(get_origin(t) is tuple for t in types):
        lists = any(get_origin(t) is dict for t in types)
        return "table of lists of texts" if lists else "list of texts"
    if choices := [choice for t in types if get_origin(t) is Literal for choice in get_args(t)]:
        return ", ".join(f'`"{choice}"`' for choice in choices)
    return next(_WORDS[t] for t in types if t in _WORDS)


_WORDS: dict[Any, str] = {
    str: "text",
    bool: "`true`, `false`",
    Bytes: "size",
    int: "number",
    timedelta: "duration",
    date: "date",
    Path: "path",
    Secret: "secret",
}


def _default(field: FieldInfo) -> str:
    match field.get_default(call_default_factory=False):
        case _ if field.is_required():
            return "required"
        case None | () | PydanticUndefinedType():
            return ""
        case tuple() as texts:
            return f"`{json.dumps(texts)}`"
        case bool() as flag:
            return f"`{str(flag).lower()}`"
        case timedelta() as duration:
            return f'`"{shown(duration)}"`'
        case Bytes() as size:
            return f'`"{shown_size(size)}"`'
        case int() as number:
            return f"`{number}`"
        case tuple():
            return ""
        case other:
            return f'`"{other}"`'


def _mapping() -> str:
    lines = ["## Default mapping", "", "Columns without a field stay on the groupware side.", ""]
    for kind in KINDS:
        lines += [f"| {kind} | Salesforce field | direction | conflict |", "| --- | --- | --- | --- |"]
        for column, rule in defaults("salesforce")[kind].items():
            lines.append(
                f"| `{column}` | `{rule.field}` | {rule.direction} | {rule.conflict} |"
                if rule.field
                else f"| `{column}` | | | |"
            )
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(text())
