"""What can go wrong with the state; every error carries a sentence for the operator.

StateError
├── Locked           another process or thread is at it
├── Contradiction    a write that would break a promise of the state (one item linked twice, …)
└── SnapshotError    a snapshot that is not one
"""


class StateError(Exception):
    """``message`` says what failed, ``hint`` what to do next; retried only where a subclass says so."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class Locked(StateError):
    """Somebody else holds the lock; try again when they are done."""


class Contradiction(StateError):
    """The database refused a write that contradicts what it holds; the transaction is lost."""


class SnapshotError(StateError):
    """Not a snapshot of ours, or larger than any may be."""
