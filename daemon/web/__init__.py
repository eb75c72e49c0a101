"""The status page: what the service shows to people, and what they decide there.

Server-rendered pages on a loopback address, in a thread of their own. Theory of operation::

    gate.py       every request first: is the Host one of ours, does it come from a page of ours? Puts the headers on
                  every answer that keep strangers' pages out
    links.py      one-time login links, made over the control socket (``crmsync login-link``)
    sessions.py   who is there: a signed cookie, and a token for everything that changes something
    site.py       what all pages have at hand; ``Site.known`` lets in who has a session, and POSTs with its token
    login.py, status.py, …   the pages, one file each; charts.py draws on the server
    people.py     whom a proxy (its header, over a Unix socket) or a provider (oidc.py, provider.py) names
    diary.py      the audit log, in the state
    server.py     puts them together and listens

A page never touches the state itself. It asks the service by ``calls.METHODS``, as the command line does, always with
the names of the accounts that the viewer may see. What is refused is in the audit log, and in the log with
``action=web.refused``.
"""
