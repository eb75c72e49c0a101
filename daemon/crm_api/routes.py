"""The REST API's table of contents: which handler answers which path below `/services/data/vXX.0/`."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from crmsync.daemon.crm_api.messages import Call, Reply, fault_reply
from crmsync.state.replica.faults import Fault

__all__ = ["Handler", "Route", "Router"]

Handler = Callable[..., Reply]  # called with the Call and the path's variables by name


@dataclass(frozen=True, slots=True)
class Route:
    """`pattern` is a path in which `{name}` stands for any segment; the others are compared without case."""

    method: str
    pattern: str
    handler: Handler

    def match(self, path: tuple[str, ...]) -> dict[str, str] | None:
        parts = self.pattern.split("/") if self.pattern else []
        if len(parts) != len(path):
            return None
        found = {}
        for part, segment in zip(parts, path, strict=True):
            if part.startswith("{"):
                found[part[1:-1]] = segment
            elif part != segment.lower():
                return None
        return found


class Router:
    """The first route that fits answers."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self._routes = routes

    def __call__(self, call: Call) -> Reply:
        """Answers a call; faults become error replies, only a defect raises."""
        try:
            return self._dispatch(call)
        except Fault as fault:
            return fault_reply(fault)

    def _dispatch(self, call: Call) -> Reply:
        method = call.query.get("_HttpMethod", call.method).upper() if call.method == "POST" else call.method
        wanted = "GET" if method == "HEAD" else method
        allowed = []
        for route in self._routes:
            variables = route.match(call.path)
            if variables is not None and route.method == wanted:
                return route.handler(replace(call, method=method), **variables)
            if variables is not None:
                allowed.append(route.method)
        if not allowed:
            raise Fault("NOT_FOUND", "The requested resource does not exist")
        what = f"HTTP Method '{method[:20]}' not allowed. Allowed are {','.join(sorted(set(allowed)))}"
        raise Fault("METHOD_NOT_ALLOWED", what)
