"""The call logs, as the engine has them: an account of its own beside each person's.

So a call has two links, as a record in two people's address books has: one with the call log, through which it comes
into the CRM, and one with the person's own task list, into which it comes from there as every other task of theirs
does.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from crmsync.config.model import Config
from crmsync.connectors.calllog.connector import CallLogSource
from crmsync.connectors.calllog.store import CallStore
from crmsync.connectors.contract import Kind
from crmsync.daemon.account import Account, Mailbox

LOG_ACCOUNT = "{}.calls"  # nobody can be called so


def call_logs(
    config: Config, accounts: Mapping[str, Account], now: Callable[[], datetime]
) -> dict[str, Account]:
    return {
        made.name: made
        for name, account in config.account.items()
        if account.telephone is not None
        for made in [_log(config, accounts[name], now)]
    }


def _log(config: Config, account: Account, now: Callable[[], datetime]) -> Account:
    source = CallLogSource(CallStore(config.call_log), account.name, now)
    mailbox = Mailbox("calllog", source, str(config.call_log), kinds=frozenset({Kind.TASK}))
    return replace(
        account,
        name=LOG_ACCOUNT.format(account.name),
        mailboxes=[mailbox],
        crm_select="linked",  # what else is in the CRM is none of its business
        select_all=False,
        default_collection={},
        part_of=account.name,
        warnings=(),
    )
