"""Telling people what needs them, once when it begins and once when it ends, whatever is restarted in between.

``plan.py`` decides (pure), ``letters.py`` sends, ``watch.py`` is the thread that looks, remembers and tries again. What
is open and what is still to be sent stands in the state, so that a restart neither repeats nor forgets it.
"""
