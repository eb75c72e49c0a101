"""The CRM's pages: what a person with a browser sees of it, below ``/crm``.

Server-rendered, without scripts, by the same process as the API, and through the API's own handlers: a page makes the
calls that a client would make over HTTP, in process. So it answers whatever the API answers from, the embedded CRM's
records or a replica's. Theory of operation::

    desk.py       the handlers as functions: a describe, a record with its ETag, a query, a create; or Refused
    shapes.py     describe and describeLayout as values: objects, fields, sections (pure)
    values.py     a field's value as a person reads it, as a form shows it, and as the API takes it (pure)
    lists.py      SOQL for a list's page: the rows after a row, so that the last page costs what the first does (pure)
    edits.py      what a form means: which fields changed, what both sides changed (pure)
    sessions.py   who is there: a cookie of random characters, the CRM's own session behind it
    site.py       what all pages have at hand; ``Site.known`` lets in who has a session, and POSTs with its token
    home.py, listing.py, …   the pages, one file each
    app.py        the addresses, and the gate of ``daemon/web`` around them
"""
