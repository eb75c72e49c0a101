"""Debian's Firefox, driven in the protocol that it speaks itself (Marionette, which geckodriver only translates:
https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html). The tab is Chromium's, with the commands of
the same names."""

import json
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.servers.chromium import PATIENCE, Refused, Tab
from tests.servers.process import free_port, listens, running

_COMMANDS: Mapping[tuple[str, str], str] = {  # W3C's, and what it is called here
    ("POST", "/url"): "Navigate",
    ("POST", "/execute/sync"): "ExecuteScript",
    ("POST", "/execute/async"): "ExecuteAsyncScript",
    ("POST", "/element"): "FindElement",
    ("POST", "/element/ID/click"): "ElementClick",
    ("POST", "/element/ID/value"): "ElementSendKeys",
    ("POST", "/frame"): "SwitchToFrame",
    ("POST", "/actions"): "PerformActions",
    ("POST", "/window/rect"): "SetWindowRect",
    ("GET", "/screenshot"): "TakeScreenshot",
}
_PREFERENCES = {
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}


class FirefoxTab(Tab):
    """What Chromium alone has (``dark``, ``scripts``, ``console``) is not there."""

    def __init__(self, line: socket.socket) -> None:
        self._line, self._number, self._rest = line, 0, b""
        self._receive()  # its greeting
        self._send("WebDriver:NewSession", {})

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        found = re.fullmatch(r"/element/([^/]+)/(\w+)", path)
        name = _COMMANDS[method, f"/element/ID/{found[2]}" if found else path]
        more = {"id": found[1]} if found else {"full": False} if name == "TakeScreenshot" else {}
        answer = self._send(f"WebDriver:{name}", {**(body or {}), **more})
        return answer["value"] if isinstance(answer, dict) and answer.keys() == {"value"} else answer

    def _send(self, command: str, parameters: Mapping[str, Any]) -> Any:
        self._number += 1
        text = json.dumps([0, self._number, command, parameters]).encode()
        self._line.sendall(b"%d:%s" % (len(text), text))
        _, number, error, result = self._receive()
        assert number == self._number
        if error:
            raise Refused(f"{command}: {error['error']}: {str(error['message']).splitlines()[0]}")
        return result

    def _receive(self) -> Any:
        """``<length in bytes>:<JSON>``."""
        while b":" not in self._rest:
            self._more()
        length, _, self._rest = self._rest.partition(b":")
        while len(self._rest) < int(length):
            self._more()
        text, self._rest = self._rest[: int(length)], self._rest[int(length) :]
        return json.loads(text)

    def _more(self) -> None:
        data = self._line.recv(65536)
        if not data:
            raise Refused("the browser has ended")
        self._rest += data


@contextmanager
def firefox(folder: Path) -> Iterator[FirefoxTab]:
    """A browser with an empty profile. Skips the test where there is none, and says what to type."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("firefox is missing: apt-get install firefox-esr")
    port, profile = free_port(), folder / "profile"
    profile.mkdir()
    chosen = {**_PREFERENCES, "marionette.port": port}
    lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in chosen.items())
    (profile / "user.js").write_text("\n".join(lines))
    arguments = [program, "--headless", "--no-remote", "--marionette", "--profile", str(profile)]
    with (
        running(arguments, folder / "firefox.log", _there(port)),
        socket.create_connection(("127.0.0.1", port), timeout=2 * PATIENCE) as line,
    ):
        yield FirefoxTab(line)


def _there(port: int) -> Callable[[], bool]:
    return lambda: listens(port)
