"""The REST API below `/services/data/vXX.0/`: its table of contents."""

from crmsync.daemon.crm_api.actions import Actions
from crmsync.daemon.crm_api.bulk.rest import Ingest, Query
from crmsync.daemon.crm_api.bulk.setup import Bulk
from crmsync.daemon.crm_api.collections import Collections
from crmsync.daemon.crm_api.composite import Composite
from crmsync.daemon.crm_api.crm import Crm
from crmsync.daemon.crm_api.furnishings import Furnishings
from crmsync.daemon.crm_api.layouts import Layouts
from crmsync.daemon.crm_api.listviews import ListViews
from crmsync.daemon.crm_api.queries import QueryHandlers
from crmsync.daemon.crm_api.records import Records
from crmsync.daemon.crm_api.relationships import Children
from crmsync.daemon.crm_api.resources import Resources
from crmsync.daemon.crm_api.routes import Route, Router
from crmsync.daemon.crm_api.search import SearchHandlers
from crmsync.daemon.crm_api.tree import Tree

__all__ = ["build_api"]


def build_api(crm: Crm, bulk: Bulk) -> Router:
    """The routes, most specific first where two could fit."""
    views, furnishings = ListViews(crm.store.schema, crm.queries), Furnishings(crm.store.schema)
    queries = QueryHandlers(crm.queries, crm.changes, views.explained)
    resources, records = Resources(crm), Records(crm.store, Children(crm.store, queries))
    layouts = Layouts(crm.store.schema)
    searches = SearchHandlers(crm.searches, crm.store)
    inner = (
        Route("GET", "", resources.index),
        Route("GET", "limits", resources.limits),
        Route("GET", "limits/recordcount", resources.record_count),
        Route("GET", "recent", resources.recent),
        Route("GET", "tabs", furnishings.tabs),
        Route("GET", "theme", furnishings.theme),
        *_of_actions(Actions(crm.store)),
        Route("GET", "query", queries.query),
        Route("GET", "queryall", queries.query_all),
        Route("GET", "query/{locator}", queries.more),
        Route("GET", "queryall/{locator}", queries.more),
        Route("GET", "search", searches.search),
        Route("GET", "parameterizedsearch", searches.parameterized),
        Route("POST", "parameterizedsearch", searches.parameterized_body),
        *_of_jobs(bulk),
        Route("GET", "sobjects", resources.objects),
        Route("GET", "sobjects/{object}", resources.object),
        Route("POST", "sobjects/{object}", records.create),
        Route("POST", "sobjects/{object}/id", records.create),  # an upsert by Id without one
        Route("GET", "sobjects/{object}/describe", resources.describe),
        Route("GET", "sobjects/{object}/describe/layouts", layouts.all),
        Route("GET", "sobjects/{object}/describe/layouts/{record_type}", layouts.of_record_type),
        Route("GET", "sobjects/{object}/describe/compactlayouts", layouts.compact),
        Route("GET", "sobjects/{object}/describe/approvallayouts", layouts.approval),
        Route("GET", "sobjects/{object}/describe/namedlayouts/{name}", furnishings.named_layout),
        Route("GET", "sobjects/{object}/listviews", views.all),
        Route("GET", "sobjects/{object}/listviews/{id}", views.one),
        Route("GET", "sobjects/{object}/listviews/{id}/describe", views.describe),
        Route("GET", "sobjects/{object}/listviews/{id}/results", views.results),
        Route("GET", "sobjects/{object}/updated", queries.updated),
        Route("GET", "sobjects/{object}/deleted", queries.deleted),
        Route("GET", "sobjects/{object}/{id}", records.read),
        Route("PATCH", "sobjects/{object}/{id}", records.update),
        Route("DELETE", "sobjects/{object}/{id}", records.delete),
        Route("GET", "sobjects/{object}/{field}/{value}", records.read_by_key),
        Route("PATCH", "sobjects/{object}/{field}/{value}", records.upsert),
        Route("DELETE", "sobjects/{object}/{field}/{value}", records.delete_by_key),
        Route("POST", "composite/tree/{object}", Tree(crm.store).create),
        *_of_collections(Collections(crm.store)),
    )
    composite = Composite(Router(inner), crm.database)
    return Router(
        (
            *inner,
            Route("POST", "composite", composite.composite),
            Route("POST", "composite/batch", composite.batch),
            Route("POST", "composite/graph", composite.graph),
            Route("GET", "composite", resources.composite),
        )
    )


def _of_actions(actions: Actions) -> tuple[Route, ...]:
    one, of = "quickactions/{action}", "sobjects/{object}/quickactions"
    return (
        Route("GET", "quickactions", actions.all),
        Route("GET", one, actions.one),
        Route("POST", one, actions.run),
        Route("GET", f"{one}/describe", actions.describe),
        Route("GET", f"{one}/defaultvalues", actions.defaults),
        Route("GET", f"{one}/defaultvalues/{{context}}", actions.defaults),
        Route("GET", of, actions.all_of),
        Route("POST", f"{of}/{{action}}", actions.run_of),
        Route("GET", f"{of}/{{action}}/describe", actions.describe_of),
        Route("GET", f"{of}/{{action}}/defaultvalues", actions.defaults_of),
        Route("GET", f"{of}/{{action}}/defaultvalues/{{context}}", actions.defaults_of),
        Route("GET", "process", actions.process),
        Route("GET", "process/rules", actions.rules),
        Route("POST", "process/rules", actions.apply_rules),
        Route("GET", "process/approvals", actions.approvals),
    )


def _of_jobs(bulk: Bulk) -> tuple[Route, ...]:
    return (
        *_of_any_job("jobs/ingest", bulk.ingest),
        Route("PUT", "jobs/ingest/{id}/batches", bulk.ingest.upload),
        Route("GET", "jobs/ingest/{id}/successfulresults", bulk.ingest.successful),
        Route("GET", "jobs/ingest/{id}/failedresults", bulk.ingest.failed),
        Route("GET", "jobs/ingest/{id}/unprocessedrecords", bulk.ingest.unprocessed),
        *_of_any_job("jobs/query", bulk.query),
        Route("GET", "jobs/query/{id}/results", bulk.query.results),
    )


def _of_any_job(path: str, handlers: Ingest | Query) -> tuple[Route, ...]:
    return (
        Route("POST", path, handlers.create),
        Route("GET", path, handlers.all),
        Route("GET", f"{path}/{{id}}", handlers.job),
        Route("PATCH", f"{path}/{{id}}", handlers.change),
        Route("DELETE", f"{path}/{{id}}", handlers.remove),
    )


def _of_collections(handlers: Collections) -> tuple[Route, ...]:
    return (
        Route("POST", "composite/sobjects", handlers.create),
        Route("PATCH", "composite/sobjects", handlers.update),
        Route("DELETE", "composite/sobjects", handlers.delete),
        Route("POST", "composite/sobjects/{object}", handlers.retrieve),
        Route("GET", "composite/sobjects/{object}", handlers.retrieve),
        Route("PATCH", "composite/sobjects/{object}/{field}", handlers.upsert),
    )
