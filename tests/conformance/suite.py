"""One suite that every connector passes. What it asks for depends on capabilities, never on a system's name.

class TestSomething(Conformance):
    @pytest.fixture
    def bench(self, …) -> Bench:
        return Bench(kind, source, collection, person, expire, unknown)
"""

from tests.conformance.asking import Asking
from tests.conformance.reading import Reading
from tests.conformance.values import Values
from tests.conformance.writing import Writing


class Conformance(Reading, Writing, Values, Asking):
    """Subclass it, and give it a fixture ``bench``."""
