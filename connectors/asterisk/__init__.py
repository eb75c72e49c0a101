"""Asterisk, an exchange, over either of its interfaces: AMI (``ami``) or ARI (``ari``).

``ami_wire.py``, ``websocket.py`` bytes to values and back; ``ami_events.py``, ``ari_events.py`` what they mean;
``ami.py``, ``ari.py`` the connections.
"""
