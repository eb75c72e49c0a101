"""What Exchange says when it does not do something: about the conversation (an exception), or about one item."""

from crmsync.connectors.contract import Deferred, Done, Outcome, Refused, Stale
from crmsync.connectors.errors import (
    AuthExpired,
    ConnectorError,
    CursorExpired,
    Forbidden,
    NotFound,
    ProtocolError,
    Throttled,
    Unreachable,
)
from crmsync.connectors.told import brief


class NotOffered(ProtocolError):
    """The server does not do this at all, or not for this folder."""

    code = "not_offered"


_NOT_OFFERED = frozenset(
    {
        "ErrorInvalidOperation",
        "ErrorInvalidRequest",
        "ErrorSyncFolderNotFound",
        "ErrorNotSupported",
        "ErrorUnsupportedSyncScope",
    }
)
BUSY = frozenset(
    {
        "ErrorServerBusy",
        "ErrorExceededConnectionCount",
        "ErrorExceededSubscriptionCount",
        "ErrorTooManyObjectsOpened",
        "ErrorInsufficientResources",
    }
)
LATER = frozenset(
    {
        "ErrorTimeoutExpired",
        "ErrorInternalServerError",
        "ErrorInternalServerTransientError",
        "ErrorMailboxStoreUnavailable",
        "ErrorMailboxMoveInProgress",
        "ErrorMailboxFailover",
        "ErrorConnectionFailed",
        "ErrorConnectionFailedTransientError",
        "ErrorADUnavailable",
        "ErrorBatchProcessingStopped",
        "ErrorItemSave",
    }
)
MISSING = frozenset({"ErrorItemNotFound", "ErrorObjectTypeChanged"})
MOVED_ON = frozenset(
    {"ErrorIrresolvableConflict", "ErrorStaleObject", "ErrorChangeKeyRequired", "ErrorInvalidChangeKey"}
)
_LOGIN = frozenset({"ErrorPasswordExpired", "ErrorPasswordChangeRequired", "ErrorAccountDisabled"})
_FORBIDDEN = frozenset(
    {
        "ErrorAccessDenied",
        "ErrorImpersonateUserDenied",
        "ErrorImpersonationDenied",
        "ErrorImpersonationFailed",
        "ErrorCreateItemAccessDenied",
        "ErrorPublicFolderRequestProcessingFailed",
    }
)
_ABSENT = frozenset(
    {
        "ErrorFolderNotFound",
        "ErrorItemNotFound",
        "ErrorNonExistentMailbox",
        "ErrorNonPrimarySmtpAddress",
        "ErrorMissingEmailAddress",
        "ErrorMailboxConfiguration",
    }
)
_WORDS = {  # what a person is told, and the short word for it
    "ErrorAccessDenied": ("forbidden", "the login may not write this item"),
    "ErrorCreateItemAccessDenied": ("forbidden", "the login may not write into this folder"),
    "ErrorQuotaExceeded": ("quota", "the mailbox is full"),
    "ErrorMessageSizeExceeded": ("too_large", "it is larger than the server takes"),
    "ErrorInvalidExtendedPropertyValue": ("too_large", "a property of it is larger than the server takes"),
    "ErrorPropertyValidationFailure": ("invalid", "the server does not take a value of it"),
    "ErrorInvalidPropertySet": ("invalid", "the server does not let one of its properties be written"),
    "ErrorOccurrenceCrossingBoundary": (
        "invalid",
        "it would lie beyond another date of its series, which Exchange does not allow",
    ),
    "ErrorOccurrenceTimeSpanTooBig": (
        "invalid",
        "it would not be over when the next date of its series begins",
    ),
    "ErrorCalendarEndDateIsEarlierThanStartDate": ("invalid", "it would end before it starts"),
}


def conversation(code: str, text: str, where: str, *, back_off: float | None = None) -> ConnectorError:
    """The exception for a request that failed as a whole."""
    said = f"{where}: {code}" + (f" ({brief(text)})" if text and text != code else "")
    if code in BUSY:
        return Throttled(f"{where} asks us to slow down ({code})", retry_after=back_off)
    if code in LATER:
        return Unreachable(said, retry_after=back_off)
    if code == "ErrorInvalidSyncStateData":
        return CursorExpired(f"{where} does not know the synchronisation state any more")
    if code in _NOT_OFFERED:
        return NotOffered(said)
    if code in _LOGIN:
        return AuthExpired(said, hint="the password has to be changed, or the account enabled, in Exchange")
    if code in _FORBIDDEN:
        return Forbidden(said, hint=_hint(code))
    if code in _ABSENT:
        return NotFound(said, hint="check the address in `mailbox`, and whether the folder is still there")
    return ProtocolError(said)


def _hint(code: str) -> str:
    if code.startswith("ErrorImpersonat"):
        return "give the login the management role ApplicationImpersonation for this mailbox"
    return "let the owner of the mailbox share the folder with the login, or give it full access"


def written(id: str, code: str, text: str, *, back_off: float | None = None) -> Outcome:
    """What became of an update or create that the server did not do."""
    if code in MISSING or code in MOVED_ON:
        return Stale(id)
    if code in BUSY or code in LATER:
        return Deferred(id, f"the server did not take it now ({code})", back_off)
    short, reason = _WORDS.get(code, ("refused", brief(text)))
    return Refused(id, short, f"{reason} ({code})")


def deleted(id: str, code: str, text: str, *, back_off: float | None = None) -> Outcome:
    return Done(id, "") if code in MISSING else written(id, code, text, back_off=back_off)
