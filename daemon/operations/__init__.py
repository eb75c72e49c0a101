"""What a person can ask for beside a sync: look, decide, put back. Each returns plain data, ready for ``--json``."""
