"""Exchange Web Services: contacts, calendars and tasks of Exchange Server.

What is Exchange's own stands in ``mapping.py``, ``when.py``, ``progress.py`` and ``names.py``: its properties, and the
columns behind them. How they are transported is known to ``wire.py`` (XML) and ``client.py`` (exchangelib) alone, so
that another transport to the same mailboxes needs no second mapping.
"""
