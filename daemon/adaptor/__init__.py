"""The data exchange adaptor: a CRM's scheduler says when is exchanged, in which direction, and of whom.

Its parts, each a file:

    communication.py    the address that a CRM reaches, HTTP and TLS; who is too large, too slow or in the wrong place
    authentication.py   transport level: is it the CRM that it says it is, and is the message fresh?
                        access level: may it ask for that?
    job_scheduler.py    a message becomes a job that survives a crash, is carried out once, and reported
    data_controller.py  what a job may exchange (a ``Grant``), and the exchange itself

Beside them the vocabulary: ``messages.py`` (what a message says), ``signing.py`` (how it is signed; a CRM does the
same), ``refusals.py`` (why it is refused: rules, and the audit log), ``wakeups.py`` (messages that only say that
something has happened); and ``adaptor.py``, which puts them together. For whoever writes the other end there is
docs/exchange-protocol.md.
"""
