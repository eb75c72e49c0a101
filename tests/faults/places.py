"""Where in a sync something can go wrong: requests, told apart by what they are for."""

from collections.abc import Callable, Mapping

from tests.servers.proxy import Asked

Where = Callable[[Asked], bool]


def _dav(method: str, word: bytes = b"", header: str = "") -> Where:
    return lambda asked: (
        asked.method == method
        and word in asked.body
        and (not header or header in {h.lower() for h in asked.headers})
    )


def _query(asked: Asked) -> bool:
    return asked.method == "GET" and "/query" in asked.path


DAV: Mapping[str, Where] = {
    "open": _dav("PROPFIND", b"resourcetype"),
    "changes": _dav("REPORT", b"sync-collection"),
    "fetch": _dav("REPORT", b"multiget"),
    "create": _dav("PUT", header="if-none-match"),
    "update": _dav("PUT", header="if-match"),
    "delete": _dav("DELETE"),
}
CRM: Mapping[str, Where] = {
    "poll": lambda asked: _query(asked) and "SystemModstamp" in asked.path and "ORDER" in asked.path,
    "search": lambda asked: _query(asked) and "ORDER" not in asked.path,
    "create": lambda asked: asked.method == "PATCH" and "Crmsync_Id__c" in asked.path,
    "update": lambda asked: asked.method == "PATCH" and "Crmsync_Id__c" not in asked.path,
    "delete": lambda asked: asked.method == "DELETE",
}
LISTINGS: Mapping[str, Where] = {  # by which a reconciliation proves what is gone
    "dav": lambda asked: (
        _dav("PROPFIND", b"getetag", header="depth")(asked) and asked.headers["Depth"] == "1"
    ),
    "crm": _query,
}
WRITES = ("create", "update", "delete")
READS = tuple(w for w in (*DAV, *CRM) if w not in WRITES)
PLACES: Mapping[str, tuple[str, Where]] = {
    **{f"dav {name}": ("dav", where) for name, where in DAV.items()},
    **{f"crm {name}": ("crm", where) for name, where in CRM.items()},
}
