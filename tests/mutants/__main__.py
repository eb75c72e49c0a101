"""A module of its own, because each process of a trial would import whatever stands here."""

import sys

from tests.mutants.plan import main

sys.exit(main(sys.argv[1:]))
