"""Who somebody is whom a proxy or a provider names: which account is theirs, or that they are an admin."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from crmsync.daemon.web.access import Viewer

if TYPE_CHECKING:
    from crmsync.config.model import Config


class People:
    def __init__(self, admins: Iterable[str] = (), names: Mapping[str, Iterable[str]] | None = None) -> None:
        """``names``: account -> what its person is called."""
        self._admins = {name.casefold() for name in admins}
        self._accounts: dict[str, set[str]] = defaultdict(set)
        for account, known in (names or {}).items():
            for name in known:
                self._accounts[name.casefold()].add(account)

    @classmethod
    def of(cls, config: "Config") -> "People":
        return cls(config.login.admins, {n: (n, a.crm_user, *a.addresses) for n, a in config.account.items()})

    def viewer(self, name: str) -> Viewer | None:
        """None: nobody of ours, or more than one."""
        wanted = name.strip().casefold()
        if wanted in self._admins:
            return Viewer(None)
        found = self._accounts.get(wanted, set())
        return Viewer(next(iter(found))) if len(found) == 1 else None
