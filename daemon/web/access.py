"""Who looks, and what they may see."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Viewer:
    account: str | None  # None: an admin, who sees all of them

    @property
    def admin(self) -> bool:
        return self.account is None

    @property
    def names(self) -> list[str]:
        """The accounts as the engine's operations take them: an empty list means all."""
        return [] if self.account is None else [self.account]

    @property
    def label(self) -> str:
        """In the log and in the history; no account can be called so."""
        return "an admin" if self.account is None else self.account

    def sees(self, account: str) -> bool:
        return self.account is None or account == self.account
