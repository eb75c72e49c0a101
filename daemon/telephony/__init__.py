"""The telephone: calls as they happen, who is calling, and calls that are over, which go the way of everything else.

Theory of operation::

    watch.py      one thread for each telephone system hears what happens, and connects again when it has to
    board.py      turns what is heard into calls of accounts, keeps them on disk, and tells who looks (Board)
    pop.py        who has a number, and what is known of them
    pairing.py    which browsers may see and answer an account's calls
    phones.py     puts them together: what the service opens, and what the pages ask (Phones)

A call that is over becomes an item of the account's call log (``connectors/calllog``), which the ordinary cycle brings
into the CRM. Nothing here writes to the CRM.
"""
