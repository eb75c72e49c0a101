"""The steps from the first version's tables to today's; ``state.migration`` takes the missing ones when a state is
opened. A new database is not made by them (``state.founding``).

A new step: change ``tables.py``, write ``versions/NNNN_what.py`` after the pattern of the last one, with types of
SQLAlchemy only (a step must not change its meaning when our own types do), and set ``HEAD``. A test holds the steps
and the tables equal on every database.
"""

HEAD = "0007"  # known without loading alembic, which takes longer than opening a database
VERSION_TABLE = "crmsync_version"  # a PostgreSQL database may hold others' alembic_version
