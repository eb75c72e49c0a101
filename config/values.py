"""The kinds of value that a configuration holds, each with the words for what it expects."""

import ipaddress
import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, get_args
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, StrictBool, StrictInt, ValidationInfo

from crmsync.config.problems import Expected
from crmsync.config.secret import Secret, Surroundings, given

Kind: TypeAlias = Literal["contact", "appointment", "task", "email"]
KINDS: tuple[Kind, ...] = get_args(Kind)

OFF = "off"  # nobody listens
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SOCKET_PATH = 107  # bytes: sun_path of sockaddr_un, unix(7)


def surroundings(info: ValidationInfo) -> Surroundings:
    """What the loader passed along. The models cannot be validated without it: relative paths need a folder."""
    context = info.context
    assert isinstance(context, Surroundings)
    return context


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):  # a default
        return value
    match = re.fullmatch(r"(\d{1,6}) ?([smhdw])", value) if isinstance(value, str) else None
    if not match:
        raise Expected('a duration such as "60s", "10m", "24h" or "90d"')
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _positive(value: timedelta) -> timedelta:
    if not value:
        raise Expected('a duration of at least "1s"')
    return value


def shown(value: timedelta) -> str:
    """A duration as it is written in the file: ``90d``."""
    seconds = int(value.total_seconds())
    for letter, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size and seconds % size == 0:
            return f"{seconds // size}{letter}"
    return f"{seconds}s"


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9_-]{1,64}", value):
        raise Expected("a name of a to z, 0 to 9, _ and -")
    return value


def _text(value: str) -> str:
    if not value.strip():
        raise Expected("a text that is not empty")
    if any(ord(c) < 32 for c in value):
        raise Expected("a text on one line")
    return value


def _tag(value: str) -> str:
    if "," in value or value != value.strip():
        raise Expected("a tag without commas and without blanks around it")
    return value


def _address(value: str) -> str:
    if not re.fullmatch(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+", value):
        raise Expected("an e-mail address")
    return value


def _path(value: object, info: ValidationInfo) -> Path:
    if isinstance(value, Path):  # a default
        return value
    if not isinstance(value, str) or not value or "\0" in value:
        raise Expected("a path; a relative one starts at the folder of the configuration file")
    return surroundings(info).base / value


def _existing(value: Path) -> Path:
    if not value.is_file():
        raise Expected("the path of a file that exists")
    return value


def _socket(value: Path) -> Path:
    if len(bytes(value)) > _SOCKET_PATH:
        raise Expected(f"a path of at most {_SOCKET_PATH} bytes (a limit of Unix sockets)")
    return value


def _url(value: str) -> str:
    return _address_of(value, ("http", "https"), "a URL such as https://dav.example.com/alice/")


def _origin(value: str) -> str:
    expected = "a URL without a path such as https://crmsync.example.com"
    if urlsplit(_address_of(value, ("http", "https"), expected)).path not in ("", "/"):
        raise Expected(expected)
    return value.rstrip("/")


def _any_url(value: str) -> str:
    """Of anything that a source can be."""
    mail = value.lower().startswith(("imap:", "imaps:"))
    return _address_of(value, ("imap", "imaps"), "imaps://mail.example.com") if mail else _url(value)


def _address_of(value: str, schemes: tuple[str, ...], expected: str) -> str:
    try:
        url = urlsplit(value)
        usable = url.scheme in schemes and url.hostname and url.port != 0
    except ValueError:  # a port that is no number, a broken IPv6 address
        raise Expected(expected) from None
    if "@" in url.netloc:
        raise Expected(f"{expected}, without user name and password", found="a URL with a login in it")
    if not usable or re.search(r"[\s\x00-\x1f\\]", value):
        raise Expected(expected)
    if url.query or url.fragment:
        raise Expected(f"{expected}, without ? and #")
    return value


def host(url: str) -> str:
    """The host of a checked URL, in lower case."""
    return urlsplit(url).hostname or ""


def scheme(url: str) -> str:
    return urlsplit(url).scheme


def is_loopback(name: str) -> bool:
    """Whether only this machine can be meant (RFC 6761 section 6.3 for names)."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _listen(value: str) -> str:
    expected = 'a loopback address and a port such as "127.0.0.1:8750"; port 0 takes a free one; or "off"'
    if value == OFF:
        return value
    try:
        address, port = split_listen(value)
    except ValueError:
        raise Expected(expected) from None
    if not is_loopback(address) or not 0 <= port <= 65535:
        raise Expected(expected)
    return value


def split_listen(value: str) -> tuple[str, int]:
    """``"[::1]:8750"`` as ``("::1", 8750)``. Raises ValueError."""
    parts: SplitResult = urlsplit(f"//{value}")
    if parts.port is None or not parts.hostname or parts.netloc != value or "@" in value:
        raise ValueError(value)
    return parts.hostname, parts.port


def _database(value: str) -> str:
    if value.startswith("sqlite:///"):
        if not value.startswith("sqlite:////") or value.endswith("/"):
            raise Expected(
                "an absolute path after sqlite:/// (four slashes in all), as in sqlite:////var/lib/…"
            )
    elif not re.match(r"postgresql\+psycopg://[^/]*/[^/?]+", value):
        raise Expected(
            "sqlite:////path/to/state.db or postgresql+psycopg://user@host/database",
            found="a URL that is neither",  # it may hold a password
        )
    elif (port := _port(value)) is not None and not re.fullmatch("[0-9]+", port):
        raise Expected("a number as its port, as in host:5432", found="a URL with another one")
    return value


def _port(url: str) -> str | None:
    """As SQLAlchemy takes such a URL apart: a password may have a slash in it."""
    rest = re.sub(r"^[^:/]*(:[^@]*)?@", "", url.partition("://")[2])
    _, colon, port = re.split("[/?]", rest, maxsplit=1)[0].rpartition("]")[2].partition(":")
    return port if colon else None


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Expected('the IANA name of a time zone such as "Europe/Berlin"') from None
    return value


def _condition(value: str) -> str:
    if " " not in value.strip() and value not in ("owned", "linked"):
        raise Expected(
            'one of "owned", "linked", or a condition such as "LeadSource = \'Web\'"',
            options=("owned", "linked"),
        )
    return value


class Bytes(int):
    """So many of them."""


def _size(value: object) -> Bytes:
    if isinstance(value, Bytes):  # a default
        return value
    match = re.fullmatch(r"(\d{1,6}) ?(KB|MB)", value) if isinstance(value, str) else None
    if not match:
        raise Expected('a size such as "500KB" or "5MB"')
    return Bytes(int(match[1]) * {"KB": 1000, "MB": 1_000_000}[match[2]])


def shown_size(value: int) -> str:
    """A size as it is written in the file: ``5MB``."""
    return f"{value // 1_000_000}MB" if value and value % 1_000_000 == 0 else f"{value // 1000}KB"


def _day(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise Expected("a date such as 2027-01-31") from None


def _secret(value: object, info: ValidationInfo) -> object:
    """What ``model.Table`` gathered from ``password_file`` and its kin."""
    return given(value, info.field_name or "", surroundings(info)) if isinstance(value, dict) else value


Flag = StrictBool
Day = Annotated[date, BeforeValidator(_day)]
Count = StrictInt
Duration = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_positive)]
Pause = Annotated[timedelta, BeforeValidator(_duration)]  # may be zero
Name = Annotated[str, AfterValidator(_name)]
Text = Annotated[str, AfterValidator(_text)]
Tag = Annotated[Text, AfterValidator(_tag)]
Address = Annotated[str, AfterValidator(_address)]
Url = Annotated[str, AfterValidator(_url)]
Origin = Annotated[str, AfterValidator(_origin)]
SourceUrl = Annotated[str, AfterValidator(_any_url)]
Size = Annotated[Bytes, BeforeValidator(_size)]
Listen = Annotated[str, AfterValidator(_listen)]
DatabaseUrl = Annotated[str, AfterValidator(_database)]
Zone = Annotated[str, AfterValidator(_zone)]
CrmSelect = Annotated[Text, AfterValidator(_condition)]
FreePath = Annotated[Path, BeforeValidator(_path)]
SocketPath = Annotated[FreePath, AfterValidator(_socket)]
ExistingFile = Annotated[FreePath, AfterValidator(_existing)]
RequiredSecret = Annotated[Secret, BeforeValidator(_secret), PlainSerializer(repr)]  # a dump shows no value
OptionalSecret = Annotated[Secret | None, BeforeValidator(_secret), PlainSerializer(repr)]
