"""Debian's Chromium, driven by its chromedriver in the W3C's protocol (https://www.w3.org/TR/webdriver2/): the few
commands that the tests need, without a library around them."""

import base64
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.servers.process import free_port, listens, running

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element's id, fixed by the standard
PATIENCE = 60.0
_FLAGS = [
    "--headless=new",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-extensions",
]
_FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


class Refused(AssertionError):
    """The browser says no."""


@dataclass
class Tab:
    """One window. Everything raises Refused."""

    pool: urllib3.PoolManager
    session: str  # its URL

    def open(self, url: str) -> None:
        self._call("POST", "/url", {"url": url})

    def script(self, text: str, *arguments: Any) -> Any:
        """What ``return …`` gives."""
        return self._call("POST", "/execute/sync", {"script": text, "args": list(arguments)})

    def script_later(self, text: str, *arguments: Any) -> Any:
        """What it hands to its last argument, a function."""
        return self._call("POST", "/execute/async", {"script": text, "args": list(arguments)})

    def text(self, css: str = "body") -> str:
        """As a person sees it; empty where there is no such element (yet)."""
        return str(self.script("return document.querySelector(arguments[0])?.innerText ?? ''", css))

    def click(self, css: str) -> None:
        self._call("POST", f"/element/{self._find(css)}/click", {})

    def type(self, css: str, keys: str) -> None:
        self._call("POST", f"/element/{self._find(css)}/value", {"text": keys})

    def frame(self, css: str = "") -> None:
        """What follows happens in this frame; empty: in the page itself again."""
        place = {ELEMENT: self._find(css)} if css else None
        self._call("POST", "/frame", {"id": place})

    def windows(self) -> list[str]:
        return list(self._call("GET", "/window/handles"))

    def another(self) -> str:
        """A new tab; its handle."""
        return str(self._call("POST", "/window/new", {"type": "tab"})["handle"])

    def switch(self, window: str) -> None:
        self._call("POST", "/window", {"handle": window})

    def close(self) -> None:
        """This tab."""
        self._call("DELETE", "/window")

    def press(self, *keys: str) -> None:
        """Keys one after the other, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def resize(self, width: int, height: int) -> None:
        self._call("POST", "/window/rect", {"width": width, "height": height})

    def dark(self, on: bool) -> None:
        features = [{"name": "prefers-color-scheme", "value": "dark" if on else "light"}]
        self._cdp("Emulation.setEmulatedMedia", {"features": features})

    def scripts(self, on: bool) -> None:
        self._cdp("Emulation.setScriptExecutionDisabled", {"value": not on})

    def screenshot(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def console(self) -> list[str]:
        """What the browser complained of since the last call."""
        return [str(entry["message"]) for entry in self._call("POST", "/se/log", {"type": "browser"})]

    def until(self, true: Callable[[], Any]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._tried(true):
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.05)

    def _tried(self, true: Callable[[], Any]) -> Any:
        try:
            return true()
        except Refused:  # a page that is just being left
            return False

    def _find(self, css: str) -> str:
        found = self._call("POST", "/element", {"using": "css selector", "value": css})
        return str(found[ELEMENT])

    def _cdp(self, command: str, params: dict[str, Any]) -> None:
        self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        json = {"json": body} if body is not None else {}
        answer = self.pool.request(method, self.session + path, **json)
        value = answer.json()["value"]
        if answer.status != 200:
            raise Refused(f"{method} {path}: {value['error']}: {value['message'].splitlines()[0]}")
        return value


@contextmanager
def chromium(folder: Path) -> Iterator[Tab]:
    """A browser with an empty profile. Skips the test where there is none, and says what to type."""
    for program, package in (("chromium", "chromium"), ("chromedriver", "chromium-driver")):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing: apt-get install {package}")
    port = free_port()
    flags = [
        *_FLAGS,
        f"--user-data-dir={folder / 'profile'}",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ]
    wanted = {"goog:chromeOptions": {"args": flags}, "goog:loggingPrefs": {"browser": "ALL"}}
    with (
        running(["chromedriver", f"--port={port}"], folder / "chromedriver.log", lambda: listens(port)),
        urllib3.PoolManager(retries=False, timeout=60.0) as pool,
    ):
        place = f"http://127.0.0.1:{port}/session"
        made = pool.request("POST", place, json={"capabilities": {"alwaysMatch": wanted}})
        assert made.status == 200, made.data
        tab = Tab(pool, f"{place}/{made.json()['value']['sessionId']}")
        try:
            yield tab
        finally:
            pool.request("DELETE", tab.session)
