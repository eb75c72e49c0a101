"""What each of our sites has to stand in a browser: that everybody can use its pages, and a page of somebody else."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.servers.chromium import Tab
from tests.servers.npm import installed

__all__ = ["elsewhere", "fits", "shoot", "usable"]


def usable(tab: Tab, what: str = "") -> None:
    """As far as axe-core can tell: names, roles, landmarks, headings, contrast. And nothing is cut off at the side."""
    found = tab.script_later(_axe() + ";axe.run().then(arguments[arguments.length - 1])")
    wrong = [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found["violations"]]
    assert wrong == [], what
    assert len(found["passes"]) > 10  # it did look
    assert fits(tab), what


def fits(tab: Tab) -> bool:
    return bool(tab.script("return document.documentElement.scrollWidth <= window.innerWidth"))


def shoot(tab: Tab, name: str) -> None:
    """A picture, where ``CRMSYNC_SCREENSHOTS`` names a folder for them."""
    if folder := os.environ.get("CRMSYNC_SCREENSHOTS"):
        tab.screenshot(Path(folder) / f"{name}.png")


@cache
def _axe() -> str:
    return (installed("axe-core@4") / "node_modules/axe-core/axe.min.js").read_text()


@contextmanager
def elsewhere() -> Iterator[str]:
    """A page of somebody else, on another port of this host: to cookies, and to SameSite, the same place."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>elsewhere</title>")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
