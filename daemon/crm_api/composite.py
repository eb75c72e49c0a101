"""`composite`, `composite/batch` and `composite/graph`: several requests in one.

In `composite` a later request may refer to what an earlier one answered: `@{account.id}`, `@{page.records[0].Id}`.
With `allOrNone` they are one transaction.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from crmsync.daemon.crm_api.addresses import parameters, segments, version_of
from crmsync.daemon.crm_api.messages import Call, Reply, fault_reply
from crmsync.daemon.crm_api.routes import Router
from crmsync.state.replica.database import Database
from crmsync.state.replica.faults import Fault

__all__ = ["Composite"]

MOST = 25
MOST_GRAPHS = 75
MOST_NODES = 500
_REFERENCE = re.compile(r"@\{([A-Za-z][A-Za-z0-9_]*)((?:\.[A-Za-z_][A-Za-z0-9_]*|\[\d{1,4}\])*)\}")
_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class _RollBack(Exception):
    """Carries the results out of a transaction that must not happen."""

    def __init__(self, results: list[dict[str, Any]]) -> None:
        super().__init__("rolled back")
        self.results = results


class Composite:
    """Handlers; `router` answers the requests inside, which cannot be composite again."""

    def __init__(self, router: Router, database: Database) -> None:
        self._router, self._database = router, database

    def composite(self, call: Call) -> Reply:
        body = call.body_object()
        requests = _requests(body, "compositeRequest")
        _check_names(requests)
        if body.get("allOrNone") not in (True, "true"):
            return Reply(200, {"compositeResponse": self._all(call, requests)})
        return Reply(200, {"compositeResponse": self._all_or_none(call, requests)})

    def graph(self, call: Call) -> Reply:
        """Several composites, each of which happens as a whole or not at all."""
        graphs = call.body_object().get("graphs")
        if not isinstance(graphs, list) or not all(isinstance(each, dict) for each in graphs):
            raise Fault("JSON_PARSER_ERROR", "graphs must be a list of objects")
        found = [(each.get("graphId"), _requests(each, "compositeRequest", MOST_NODES)) for each in graphs]
        if len(graphs) > MOST_GRAPHS or sum(len(requests) for _, requests in found) > MOST_NODES:
            raise Fault(
                "LIMIT_EXCEEDED", f"at most {MOST_GRAPHS} graphs with {MOST_NODES} nodes are possible"
            )
        return Reply(200, {"graphs": [self._graph(call, name, requests) for name, requests in found]})

    def _graph(self, call: Call, name: Any, requests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        _check_names(requests)
        results = self._all_or_none(call, requests)
        ok = all(each["httpStatusCode"] < 400 for each in results)
        return {"graphId": name, "graphResponse": {"compositeResponse": results}, "isSuccessful": ok}

    def _all_or_none(self, call: Call, requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        try:
            with self._database.together():
                results = self._all(call, requests)
                if any(each["httpStatusCode"] >= 400 for each in results):
                    raise _RollBack(results)
        except _RollBack as back:
            return [_rolled_back(each) for each in back.results]
        return results

    def _all(self, call: Call, requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        answers: dict[str, Any] = {}
        results = []
        for request in requests:
            reply = self._one(call, request, answers)
            content, name = _readable(reply), request["referenceId"]
            answers[name] = content if reply.status < 300 else None
            headers = dict(reply.headers)
            results.append(
                {"body": content, "httpHeaders": headers, "httpStatusCode": reply.status, "referenceId": name}
            )
        return results

    def batch(self, call: Call) -> Reply:
        body = call.body_object()
        halt = body.get("haltOnError") in (True, "true")
        results: list[dict[str, Any]] = []
        for request in _requests(body, "batchRequests"):
            if halt and any(each["statusCode"] >= 400 for each in results):
                halted = Fault("BATCH_PROCESSING_HALTED", "Batch processing halted per request")
                results.append({"statusCode": 412, "result": fault_reply(halted).content})
                continue
            renamed = {**request, "body": request.get("richInput")}
            reply = self._one(call, renamed, {})
            results.append({"statusCode": reply.status, "result": _readable(reply)})
        failed = any(each["statusCode"] >= 400 for each in results)
        return Reply(200, {"hasErrors": failed, "results": results})

    def _one(self, call: Call, request: Mapping[str, Any], answers: Mapping[str, Any]) -> Reply:
        try:
            return self._router(_inner(call, request, answers))
        except Fault as fault:
            return fault_reply(fault)


def _inner(call: Call, request: Mapping[str, Any], answers: Mapping[str, Any]) -> Call:
    url, method = request.get("url"), request.get("method")
    headers = request.get("httpHeaders") or {}
    if not isinstance(url, str) or not isinstance(method, str) or not isinstance(headers, dict):
        raise Fault("JSON_PARSER_ERROR", "method and url must be strings, httpHeaders an object")
    raw_path, _, query = _filled_text(url, answers, escape=True).partition("?")
    path = segments(quote(raw_path, safe="/%", errors="replace").encode())
    if path[:2] == ("services", "data"):
        path = path[2:]
    version = version_of(path[0]) if path else None
    if version is None:
        raise Fault("NOT_FOUND", "The requested resource does not exist")
    body = _filled(request.get("body"), answers)
    return replace(
        call,
        method=method.upper(),
        path=path[1:],
        version=version,
        query=parameters(quote(query, safe="=&%+", errors="replace").encode()),
        headers={str(k).lower(): str(v) for k, v in headers.items()},
        load=lambda: body,
    )


def _rolled_back(result: dict[str, Any]) -> dict[str, Any]:
    if result["httpStatusCode"] >= 400:
        return result
    what = "The transaction was rolled back since another operation in the same transaction failed."
    content = fault_reply(Fault("PROCESSING_HALTED", what)).content
    return {**result, "body": content, "httpHeaders": {}, "httpStatusCode": 400}


def _check_names(requests: Sequence[Mapping[str, Any]]) -> None:
    names = [request.get("referenceId") for request in requests]
    good = all(isinstance(name, str) and _NAME.fullmatch(name) for name in names)
    if not good or len({*names}) < len(names):
        raise Fault("JSON_PARSER_ERROR", "every compositeRequest needs a referenceId of its own")


def _requests(body: Mapping[str, Any], name: str, most: int = MOST) -> list[dict[str, Any]]:
    requests = body.get(name)
    if not isinstance(requests, list) or not all(isinstance(each, dict) for each in requests):
        raise Fault("JSON_PARSER_ERROR", f"{name} must be a list of objects")
    if len(requests) > most:
        raise Fault("LIMIT_EXCEEDED", f"at most {most} requests are possible, these are {len(requests)}")
    return requests


def _readable(reply: Reply) -> Any:
    """The content as values: query pages come as bytes."""
    if isinstance(reply.content, bytes):
        return json.loads(reply.content)
    return reply.content


def _filled(value: Any, answers: Mapping[str, Any]) -> Any:
    """The value with all references replaced, inside lists and objects too."""
    match value:
        case str():
            return _filled_text(value, answers)
        case list():
            return [_filled(each, answers) for each in value]
        case dict():
            return {key: _filled(each, answers) for key, each in value.items()}
    return value


def _filled_text(text: str, answers: Mapping[str, Any], *, escape: bool = False) -> str:
    def replaced(match: re.Match[str]) -> str:
        found = _looked_up(match, answers)
        return quote(found, safe="", errors="replace") if escape else found

    return _REFERENCE.sub(replaced, text)


def _looked_up(match: re.Match[str], answers: Mapping[str, Any]) -> str:
    value = answers.get(match[1])
    for step in _STEP.finditer(match[2]):
        name, place = step[1], step[2]
        if name is not None and isinstance(value, dict):
            value = next((v for k, v in value.items() if k.casefold() == name.casefold()), None)
        elif place is not None and isinstance(value, list) and int(place) < len(value):
            value = value[int(place)]
        else:
            value = None
    if value is None or isinstance(value, dict | list):
        what = f"Invalid reference specified. No value for {match[0][2:-1]} found in {match[1]}"
        raise Fault("PROCESSING_HALTED", what)
    return str(value).lower() if isinstance(value, bool) else str(value)
