"""A fixed sample of ``make torture``: the service is killed and cut off in every scene, on every kind of server, and it
always ends as if nothing had happened."""

from pathlib import Path

import pytest

from tests.daemon.machine.scenes import SCENES
from tests.daemon.machine.torture import WORLDS, share, stage

EVERY = 29  # th trial; a prime, so that in time all points, troubles and edits meet


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("turn", "scene"), list(enumerate(SCENES)), ids=list(SCENES))
def test_however_it_is_interrupted_it_ends_the_same(tmp_path: Path, turn: int, scene: str) -> None:
    """On three of the kinds of server, in turn."""
    for number, world in list(enumerate(WORLDS))[turn % 2 :: 2]:
        (tmp_path / world).mkdir()
        with stage(tmp_path / world, scene, world) as played:
            for trial in list(share(played.trials()))[number::EVERY]:
                assert played.complaint(trial) == "", str(trial)
