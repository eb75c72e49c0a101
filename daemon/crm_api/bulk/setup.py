"""Both versions of Bulk, with the jobs and the thread that they share."""

from crmsync.daemon.crm_api.bulk.classic import Classic
from crmsync.daemon.crm_api.bulk.jobs import Background
from crmsync.daemon.crm_api.bulk.rest import Ingest, Query
from crmsync.daemon.crm_api.crm import Crm
from crmsync.state.replica.job_store import JobStore

__all__ = ["Bulk"]


class Bulk:
    """Goes on with the jobs that were interrupted. `close` ends the thread after the rows at hand."""

    def __init__(self, crm: Crm) -> None:
        self._background = Background()
        self.ingest = Ingest(crm, self._background, JobStore(crm.database, crm.clock, "ingest"))
        self.query = Query(crm, self._background, JobStore(crm.database, crm.clock, "query"))
        self.classic = Classic(crm, self._background)
        crm.closers.append(self.close)
        self.ingest.resume()
        self.query.resume()
        self.classic.resume()

    def close(self) -> None:
        self._background.close()
