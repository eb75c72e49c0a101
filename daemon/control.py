"""Talking to the running service: HTTP over its Unix socket.

``POST /v1/<method>`` with the arguments as a JSON object. The answer is a stream of lines, one JSON document each::

    {"progress": {"account": "alice", "what": "written", "count": 12}}      as often as there is something to tell
    {"result": …}            or    {"error": {"code": "busy", "message": "…"}}     last, once

Empty lines in between only say that the service lives. ``GET /v1/about`` says who answers. The methods are those of
``calls.METHODS``; the server is in ``control_server``.
"""

import hashlib
import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crmsync.daemon.calls import Failure, Progress

if TYPE_CHECKING:
    from crmsync.config.model import Config

PATIENCE = 30.0  # seconds without a sign of life; the server gives one every 5
FIRST_ANSWER = 10.0


def fingerprint(config: "Config") -> str:
    """The same for two configurations that say the same; secrets count by where they are kept."""
    return hashlib.sha256(config.model_dump_json().encode()).hexdigest()


class Client:
    """Each call has a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def about(self) -> dict[str, Any] | None:
        """``{"pid", "config": fingerprint, "since"}`` of the service that listens there; None when nobody does.

        Raises Failure when somebody does but does not answer us.
        """
        try:
            with _Connection(self._path, FIRST_ANSWER) as connection:
                connection.request("GET", "/v1/about", headers={"Host": "crmsync"})
                answer = json.loads(connection.getresponse().read())
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return None
        except PermissionError:
            raise Failure(
                "config",
                f"the control socket {self._path} belongs to another user: run the command as the user of the "
                "service, or as root",
            ) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._silent(error) from error
        if not isinstance(answer, dict):
            raise self._silent("an answer that is none")
        return answer

    def call(self, method: str, arguments: Mapping[str, Any], progress: Progress) -> Any:
        """The method's answer. Raises Failure."""
        try:
            with _Connection(self._path, PATIENCE) as connection:
                body = json.dumps(arguments)
                headers = {"Host": "crmsync", "Content-Type": "application/json"}
                connection.request("POST", f"/v1/{method}", body, headers)
                return self._last(_lines(connection.getresponse()), progress)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._silent(error) from error

    def _last(self, lines: Iterator[Any], progress: Progress) -> Any:
        for line in lines:
            match line:
                case {"progress": {"account": str(account), "what": str(what), "count": int(count)}}:
                    progress(account, what, count)
                case {"error": {"code": str(code), "message": str(message)}}:
                    raise Failure(code, message)
                case {"result": result}:
                    return result
        raise self._silent("it ended in between")

    def _silent(self, error: object) -> Failure:
        return Failure(
            "service_silent",
            f"the running service did not answer on {self._path}: {error}. What it has confirmed stands; see its log, "
            "then try again",
        )


def _lines(response: http.client.HTTPResponse) -> Iterator[Any]:
    while line := response.readline():
        if line.strip():
            yield json.loads(line)


class _Connection(http.client.HTTPConnection):
    """HTTP over AF_UNIX."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def __enter__(self) -> "_Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
