"""Templates and the files that go with them, read once."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from crmsync.daemon.web import words

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOREVER = "public, max-age=31536000, immutable"  # its address changes with it


@dataclass(frozen=True, slots=True)
class File:
    content: bytes
    type: str
    mark: str  # of this content

    def response(self, mark: str) -> Response:
        headers = {"Cache-Control": _FOREVER if mark == self.mark else "no-cache"}
        return Response(self.content, media_type=self.type, headers=headers)


class Pages:
    """Safe to use from several threads."""

    def __init__(
        self,
        templates: str = "crmsync.daemon.web.templates",
        statics: Sequence[str] = ("crmsync.daemon.web.static",),
        prefix: str = "/static",
    ) -> None:
        """The packages that hold them, and below which address the files are."""
        self._prefix = prefix
        self.files: Mapping[str, File] = {
            entry.name: _file(entry.name, entry.read_bytes())
            for package in statics
            for entry in files(package).iterdir()
            if _ending(entry.name) in _TYPES
        }
        self._environment = Environment(
            loader=FunctionLoader(lambda name: (files(templates) / name).read_text("utf-8")),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(static=self._static)
        self._environment.filters.update(words.FILTERS)

    def html(self, template: str, status: int = 200, /, **values: Any) -> Response:
        """``values``: what the template names; ``viewer`` and ``token`` for all of them (None and empty: nobody)."""
        return HTMLResponse(self.text(template, **values), status)

    def text(self, template: str, /, **values: Any) -> str:
        return self._environment.get_template(template).render(viewer=values.pop("viewer", None), **values)

    def _static(self, name: str) -> str:
        return f"{self._prefix}/{name}?{self.files[name].mark}"


def _ending(name: str) -> str:
    return name[name.rfind(".") :]


def _file(name: str, content: bytes) -> File:
    return File(content, _TYPES[_ending(name)], hashlib.sha256(content).hexdigest()[:16])
