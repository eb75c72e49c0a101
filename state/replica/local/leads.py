"""convertLead on a replica: done here at once, upstream in its turn."""

from crmsync.state.replica.access import Caller
from crmsync.state.replica.converting import Conversion, Converted, Converter
from crmsync.state.replica.local import conversions
from crmsync.state.replica.local.store import LocalStore

__all__ = ["LocalConverter"]


class LocalConverter(Converter):
    store: LocalStore

    def convert(self, caller: Caller, asked: Conversion) -> Converted:
        with self.store.database.write() as connection:
            return conversions.convert(self.store.work(connection), asked, self.store.now())
