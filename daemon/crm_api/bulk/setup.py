"""Both versions of Bulk, with the jobs and the thread that they share."""

from crmsync.daemon.crm_api.bulk.classic import Classic
from crmsync.daemon.crm_api.bulk.jobs import Background, Register
from crmsync.daemon.crm_api.bulk.rest import Ingest, Query
from crmsync.daemon.crm_api.crm import Crm

__all__ = ["Bulk"]


class Bulk:
    """`close` ends the thread after the rows at hand, and forgets the jobs."""

    def __init__(self, crm: Crm) -> None:
        self._background = Background()
        self.ingest = Ingest(crm, self._background, Register("750", crm.clock), "V2Ingest")
        self.query = Query(crm, self._background, Register("751", crm.clock), "V2Query")
        self.classic = Classic(crm, self._background)
        crm.closers.append(self.close)

    def close(self) -> None:
        self._background.close()
        for register in (self.ingest.jobs, self.query.jobs, self.classic.jobs):
            register.close()
