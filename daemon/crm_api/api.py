"""The REST API below `/services/data/vXX.0/`: its table of contents."""

from crmsync.daemon.crm_api.collections import Collections
from crmsync.daemon.crm_api.composite import Composite
from crmsync.daemon.crm_api.crm import Crm
from crmsync.daemon.crm_api.queries import QueryHandlers
from crmsync.daemon.crm_api.records import Records
from crmsync.daemon.crm_api.resources import Resources
from crmsync.daemon.crm_api.routes import Route, Router
from crmsync.daemon.crm_api.search import SearchHandlers

__all__ = ["build_api"]


def build_api(crm: Crm) -> Router:
    """The routes, most specific first where two could fit."""
    resources, records = Resources(crm), Records(crm.store)
    collections, queries = Collections(crm.store), QueryHandlers(crm.queries, crm.changes)
    searches = SearchHandlers(crm.searches, crm.store)
    inner = (
        Route("GET", "", resources.index),
        Route("GET", "limits", resources.limits),
        Route("GET", "query", queries.query),
        Route("GET", "queryall", queries.query_all),
        Route("GET", "query/{locator}", queries.more),
        Route("GET", "queryall/{locator}", queries.more),
        Route("GET", "search", searches.search),
        Route("GET", "parameterizedsearch", searches.parameterized),
        Route("POST", "parameterizedsearch", searches.parameterized_body),
        Route("GET", "sobjects", resources.objects),
        Route("GET", "sobjects/{object}", resources.object),
        Route("POST", "sobjects/{object}", records.create),
        Route("GET", "sobjects/{object}/describe", resources.describe),
        Route("GET", "sobjects/{object}/updated", queries.updated),
        Route("GET", "sobjects/{object}/deleted", queries.deleted),
        Route("GET", "sobjects/{object}/{id}", records.read),
        Route("PATCH", "sobjects/{object}/{id}", records.update),
        Route("DELETE", "sobjects/{object}/{id}", records.delete),
        Route("GET", "sobjects/{object}/{field}/{value}", records.read_by_key),
        Route("PATCH", "sobjects/{object}/{field}/{value}", records.upsert),
        Route("DELETE", "sobjects/{object}/{field}/{value}", records.delete_by_key),
        Route("POST", "composite/sobjects", collections.create),
        Route("PATCH", "composite/sobjects", collections.update),
        Route("DELETE", "composite/sobjects", collections.delete),
        Route("POST", "composite/sobjects/{object}", collections.retrieve),
        Route("GET", "composite/sobjects/{object}", collections.retrieve),
        Route("PATCH", "composite/sobjects/{object}/{field}", collections.upsert),
    )
    composite = Composite(Router(inner), crm.database)
    return Router(
        (
            *inner,
            Route("POST", "composite", composite.composite),
            Route("POST", "composite/batch", composite.batch),
        )
    )
