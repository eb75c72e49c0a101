"""What every command has at hand: the configuration, the engine (the running service's or one of our own), and how
answers are given."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from crmsync.daemon.calls import METHODS, Failure, Progress, Reach, explained, invoke

if TYPE_CHECKING:
    from crmsync.config.model import Config
    from crmsync.daemon.engine import Engine

LOOKING = 1.0  # seconds: another command may be looking for a service in the same moment


def in_silence(account: str, what: str, count: int) -> None:
    """Nobody watches the progress."""


def _load(path: Path | None, environ: Mapping[str, str]) -> "Config":
    from crmsync.config.load import load

    return load(path, environ)


def _build(config: "Config") -> "Engine":
    from crmsync.daemon.app import build

    return build(config)


@dataclass(frozen=True, slots=True)
class World:
    """What lies outside of the command line."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    load: Callable[[Path | None, Mapping[str, str]], "Config"] = _load
    build: Callable[["Config"], "Engine"] = _build


class Backend(Protocol):
    """Whoever carries a command out."""

    def call(self, method: str, arguments: Mapping[str, Any], progress: Progress) -> Any: ...


@dataclass(slots=True)
class Alone:
    """An engine of our own, because no service runs."""

    engine: "Engine"
    socket: Path

    def call(self, method: str, arguments: Mapping[str, Any], progress: Progress) -> Any:
        try:
            if METHODS[method].reach is not Reach.LOOK:
                self._no_service()
            return invoke(self.engine, method, self._of_persons(method, arguments), progress)
        except Exception as error:
            failure = explained(error)
            if failure is None:
                raise
            raise failure from error

    def _of_persons(self, method: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """As the service does it: who syncs a person's account means their calls, too."""
        from crmsync.daemon.operations.parts import with_parts

        if METHODS[method].reach is not Reach.EACH or not arguments.get("names"):
            return arguments
        return {**arguments, "names": with_parts(self.engine.accounts, arguments["names"])}

    def _no_service(self) -> None:
        """Raises Failure where a service syncs this state that we could not reach."""
        from crmsync.state.errors import Locked

        deadline = time.monotonic() + LOOKING
        while True:
            try:
                with self.engine.state.exclusive():
                    return
            except Locked as error:
                if time.monotonic() > deadline:
                    raise Failure(
                        "busy",
                        f"a service runs on this state ({error.message}), but nobody answers on {self.socket}: use the "
                        "configuration of that service (--config FILE), or stop it first",
                    ) from None
            time.sleep(0.05)


@dataclass(slots=True)
class Shell:
    """One invocation of ``crmsync``."""

    world: World = field(default_factory=World)
    config_file: Path | None = None
    json: bool = False
    debug: bool = False
    _config: "Config | None" = None
    _backend: Backend | None = None
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def load(self) -> "Config":
        """The configuration as it stands in the file now. Raises Failure with all that is wrong."""
        from crmsync.config.problems import ConfigError

        try:
            return self.world.load(self.config_file, self.world.environ)
        except ConfigError as error:
            raise Failure("config", str(error), {"problems": _problems(error)}) from None

    def config(self) -> "Config":
        if self._config is None:
            self._config = self.load()
        return self._config

    def build(self, config: "Config") -> "Engine":
        """Raises Failure when the state cannot be opened."""
        from crmsync.config.secret import SecretError
        from crmsync.state.errors import StateError

        try:
            return self.world.build(config)
        except StateError as error:
            raise Failure("state", str(error)) from error
        except SecretError as error:
            raise Failure("config", str(error)) from error

    def call(self, method: str, progress: Progress = in_silence, /, **arguments: Any) -> Any:
        """The answer of the running service, or of our own engine. Raises Failure."""
        if self._backend is None:
            self._backend = self._connected() or self._alone()
        if "by" in METHODS[method].arguments:
            arguments.setdefault("by", self._operator())
        return self._backend.call(method, arguments, progress)

    def _operator(self) -> str:
        """For the history: the login name of whoever types, also behind sudo."""
        environ = self.world.environ
        name = (
            environ.get("SUDO_USER") or environ.get("LOGNAME") or environ.get("USER") or f"user {os.getuid()}"
        )
        return f"{name[:64]}, on the command line"

    def call_fresh(self, method: str, /, **arguments: Any) -> Any:
        """Like ``call``, but for what has to hold for the file as it is now: by ourselves, if the running service has
        read another one."""
        if self._connected(same_file=True) is None:
            self._backend = self._alone()
        return self.call(method, **arguments)

    def ask_service(self, method: str, /, **arguments: Any) -> Any:
        """The answer to what only a running service knows. Raises Failure."""
        service = self._connected()
        if service is None:
            raise Failure(
                "no_service",
                "no service runs with this configuration: systemctl start crmsync, or crmsync run",
            )
        return service.call(method, arguments, in_silence)

    def answer(self, data: Any, human: Callable[[], None]) -> None:
        """One JSON document, or words for a person."""
        if self.json:
            click.echo(json.dumps(data, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))
        else:
            human()

    def hint(self, text: str) -> None:
        """What to do next; not part of the answer."""
        click.echo(text, err=True)

    def close(self) -> None:
        self._open.close()

    def _connected(self, *, same_file: bool = False) -> Backend | None:
        from crmsync.daemon.control import Client, fingerprint

        config = self.config()
        client = Client(config.service.socket)
        about = client.about()
        if about is None:
            return None
        if same_file and about.get("config") != fingerprint(config):
            self.hint(
                "The running service still uses the configuration that it read before; this is about the file."
            )
            return None
        return client

    def _alone(self) -> Alone:
        engine = self.build(self.config())
        self._open.callback(engine.close)
        return Alone(engine, self.config().service.socket)


def _problems(error: Any) -> list[dict[str, str]]:
    return [
        {
            "file": str(p.file or ""),
            "key": p.key,
            "found": p.found,
            "expected": p.expected,
            "suggestion": p.suggestion,
        }
        for p in error.problems
    ]


def _json_asked(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().obj.json = True


json_option = click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    callback=_json_asked,
    help="Print one JSON document, and nothing else, on stdout.",
)
accounts_argument = click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
