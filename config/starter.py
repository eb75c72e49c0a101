"""What ``crmsync init`` writes."""

import pkgutil


def starter() -> str:
    """A commented configuration that loads as it is; only addresses, names and secrets have to be put in."""
    data = pkgutil.get_data(__package__, "starter.toml")
    assert data is not None  # shipped with the package
    return data.decode()
