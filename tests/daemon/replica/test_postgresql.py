"""The same with a replica that stands in PostgreSQL."""

import random
from pathlib import Path

import pytest

from crmsync.daemon.replica.context import Stage
from tests.daemon.replica.bench import Killed, bench
from tests.daemon.replica.test_outage import Script
from tests.servers.postgresql import postgresql


@pytest.mark.server
def test_both_agree_after_an_outage(tmp_path: Path):
    with postgresql() as url, bench(tmp_path, database_url=url) as made:
        script = Script(made, random.Random(3))
        script.begin()
        script.offline(100)
        for stage in (Stage.SERVER_DELETES, Stage.UPDATES, Stage.FINISH):
            made.kill = lambda at, what, stage=stage: at is stage
            with pytest.raises(Killed):
                made.run()
            made.reopen()
        made.kill = lambda at, what: False
        made.run()
        script.settle_everything()
        script.check()
