"""Finds the configuration file, reads it, and says everything that is wrong with it at once."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from crmsync.config.complain import problems_of
from crmsync.config.model import Config
from crmsync.config.problems import ConfigError, Problem
from crmsync.config.secret import Surroundings

LARGEST = 4 * 1024 * 1024  # bytes; a thousand accounts need half a megabyte


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The configuration at ``path``; without one, the first of ``candidates`` that exists. Raises ConfigError."""
    file, data = _read([path] if path else candidates(environ))
    return parse(data, file, environ)


def candidates(environ: Mapping[str, str]) -> list[Path]:
    """Where the file is looked for when the command line names none."""
    if named := environ.get("CRMSYNC_CONFIG"):
        return [Path(named)]
    places = [Path("/etc/crmsync/config.toml")]
    if home := environ.get("HOME"):
        places.append(Path(home) / ".config/crmsync/config.toml")
    return places


def parse(data: bytes, file: Path, environ: Mapping[str, str]) -> Config:
    """The configuration in ``data``; relative paths start at the folder of ``file``. Raises ConfigError."""
    raw = _toml(data, file)
    crms = raw.get("crm")
    around = Surroundings(
        base=file.absolute().parent, environ=environ, crms=tuple(crms) if isinstance(crms, dict) else ()
    )
    try:
        return Config.model_validate(raw, context=around)
    except ValidationError as error:
        raise ConfigError(problems_of(error, file)) from None


def _read(places: list[Path]) -> tuple[Path, bytes]:
    for place in places:
        try:
            with place.open("rb") as file:
                data = file.read(LARGEST + 1)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise _unreadable(place, f"a file that cannot be read: {error.strerror}") from None
        if len(data) > LARGEST:
            raise _unreadable(place, f"more than {LARGEST} bytes")
        return place, data
    looked = " or ".join(str(place) for place in places)
    expected = f"{looked} (crmsync init writes a starter; --config FILE or CRMSYNC_CONFIG names another)"
    raise ConfigError(
        [Problem(places[0] if len(places) == 1 else None, "", "no configuration file", expected)]
    )


def _unreadable(file: Path, found: str) -> ConfigError:
    return ConfigError([Problem(file, "", found, "a TOML file that this user may read")])


def _toml(data: bytes, file: Path) -> dict[str, object]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError([Problem(file, f"line {line}", "bytes that are not UTF-8", "UTF-8 text")]) from None
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, and a number of more digits than Python reads
        raise ConfigError([_syntax(str(error), text, file)]) from None
    except RecursionError:
        raise ConfigError([Problem(file, "", "tables within tables without end", "a flat file")]) from None


def _syntax(message: str, text: str, file: Path) -> Problem:
    match = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", message, re.DOTALL)
    if match:
        what, line, column = match[1], int(match[2]), int(match[3])
    else:  # "(at end of document)"
        what = message.removesuffix(" (at end of document)")
        line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
    return Problem(
        file, f"line {line}, column {column}", f"broken TOML ({what})", "TOML, see https://toml.io"
    )
