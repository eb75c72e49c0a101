"""One suite that every connector passes. What it asks for depends on capabilities, never on a system's name.

class TestSomething(Conformance):
    @pytest.fixture
    def bench(self, …) -> Bench:
        return Bench(kind, source, collection, person, expire, unknown)
"""

from tests.conformance.asking import Asking
from tests.conformance.reading import Reading
from tests.conformance.telling import Telling
from tests.conformance.values import Values
from tests.conformance.writing import Writing


class WithoutTelling(Reading, Writing, Values, Asking):
    """For what stands in for a server that is away, and can say neither what there is nor what has changed."""


class Conformance(Telling, WithoutTelling):
    """Subclass it, and give it a fixture ``bench``."""
