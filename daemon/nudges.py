"""Nudges: a server says that something may have changed, and the account's turn comes early.

One thread for each login that can be watched. Nothing depends on a nudge arriving: an account that hears none has its
turn at the interval all the same.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence

from crmsync.connectors.abilities import Watching
from crmsync.connectors.contract import Collection
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.account import Account, Mailbox

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 600.0  # seconds before a login is watched again after it failed
_LOOK = 5.0  # seconds between two looks at what a first cycle has discovered

Wait = Callable[[float], bool]  # seconds; True: the watch is over


class Nudges:
    """Safe to use from several threads."""

    def __init__(self, wake: Callable[[str], None]) -> None:
        """``wake``: called with an account's name, from one of our threads."""
        self._wake = wake
        self._over = threading.Event()

    def follow(self, accounts: Iterable[Account]) -> None:
        """Watch these accounts, and no longer those of before."""
        self.stop()
        self._over = over = threading.Event()
        for account in accounts:
            for mailbox in account.mailboxes:
                if isinstance(mailbox.source, Watching):
                    arguments = (account.name, mailbox, over)
                    name = f"watch-{account.name}"
                    threading.Thread(target=self._watch, args=arguments, name=name, daemon=True).start()

    def stop(self) -> None:
        """Nobody is woken any more. What waits for a server is not waited for: it ends by itself."""
        self._over.set()

    def _watch(self, account: str, mailbox: Mailbox, over: threading.Event) -> None:
        wait_for_collections(mailbox, over.wait)

        def nudged() -> None:
            if not over.is_set():
                self._wake(account)

        watch(account, mailbox, over.is_set, over.wait, nudged)


def wait_for_collections(mailbox: Mailbox, wait: Wait) -> None:
    """The account's first cycle discovers them."""
    while not watched(mailbox) and not wait(_LOOK):
        pass


def watch(
    account: str, mailbox: Mailbox, stopped: Callable[[], bool], wait: Wait, nudged: Callable[[], None]
) -> None:
    """Until ``stopped``; a login that fails is tried again, later and later."""
    source, pause = mailbox.source, FIRST_PAUSE
    assert isinstance(source, Watching)
    while not stopped():
        try:
            for _ in source.watch(watched(mailbox), stopped):
                pause = FIRST_PAUSE
                nudged()
        except ConnectorError as error:
            log.info(
                "%s: %s cannot be watched just now, so its changes are found at the interval: %s",
                account,
                mailbox.type,
                error,
                extra={"action": "watch.failed"},
            )
        if wait(pause):
            return
        pause = min(2 * pause, LONGEST_PAUSE)


def watched(mailbox: Mailbox) -> Sequence[Collection]:
    """Those that the account uses, as last discovered."""
    if not mailbox.only:
        return [c for c in mailbox.collections if c.kinds]
    return [c for c in mailbox.collections if {c.name, c.id} & set(mailbox.only)]
