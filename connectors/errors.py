"""What can go wrong with a *conversation*. What happens to one item is a value (see contract.Outcome).

    ConnectorError
    ├── Unreachable       no connection, time-out, or an answer that is none: try later
    ├── Throttled         the server asks for a pause (429, 503 with Retry-After): obey it
    ├── AuthExpired       the login is refused or has run out: a person must act
    ├── Forbidden         logged in, but not allowed here (a read-only or foreign collection)
    ├── NotFound          the collection, the object or the address does not exist (any more)
    ├── CursorExpired     the server cannot say "changes since" for our cursor: list everything, delete nothing blindly
    └── ProtocolError     the server says things we cannot trust: too large, malformed, another host

Every one carries a sentence for the operator and, where there is one, what to do next.
"""


class ConnectorError(Exception):
    """The conversation failed; nothing can be concluded about any item."""

    code = "failed"
    retry = True  # whether the same call may go through later without a person

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.retry_after = retry_after  # seconds that the server asked for

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class Unreachable(ConnectorError):
    code = "unreachable"


class Throttled(ConnectorError):
    code = "throttled"


class AuthExpired(ConnectorError):
    code = "login_refused"
    retry = False


class Forbidden(ConnectorError):
    code = "forbidden"
    retry = False


class NotFound(ConnectorError):
    code = "not_found"
    retry = False


class CursorExpired(ConnectorError):
    code = "cursor_expired"


class ProtocolError(ConnectorError):
    code = "protocol"
