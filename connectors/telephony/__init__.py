"""What all telephone systems have in common: words, numbers, and what becomes of one call.

``contract.py`` has the words and the interface; ``call.py`` turns events into calls, without any I/O; ``numbers.py``
reads numbers. A system is a package of its own beside this one (``baresip``, ``asterisk``): ``wire.py`` bytes to
values and back, ``events.py`` what they mean, ``client.py`` the connection, ``connector.py`` the interface.
"""
